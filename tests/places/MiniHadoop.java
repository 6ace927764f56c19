import java.io.File;
import java.io.FileOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;

/** HDFS, and YARN with two nodes where it is asked for, on free ports of this machine, until stdin ends. */
public class MiniHadoop {
    public static void main(String[] words) {
        int code = 0;
        try {
            run(words);
        } catch (Throwable cause) {
            cause.printStackTrace();
            code = 1;
        }
        // What has started by then takes its time to end, and there is nothing to be kept.
        Runtime.getRuntime().halt(code);
    }

    private static void run(String[] words) throws Exception {
        File folder = new File(words[0]);
        boolean yarn = words.length > 1 && words[1].equals("yarn");
        Configuration conf = new YarnConfiguration();
        conf.set("dfs.replication", "1");
        MiniDFSCluster hdfs = new MiniDFSCluster.Builder(conf, new File(folder, "hdfs")).numDataNodes(1).build();
        hdfs.waitActive();
        String uri = "hdfs://127.0.0.1:" + hdfs.getNameNodePort();
        Configuration client = new Configuration(false);
        client.set(FileSystem.FS_DEFAULT_NAME_KEY, uri);
        client.set("yarn.application.classpath", "");
        if (yarn) {
            conf.set(FileSystem.FS_DEFAULT_NAME_KEY, uri);
            Configuration running = startYarn(conf);
            for (String key : new String[] {"yarn.resourcemanager.address", "yarn.resourcemanager.scheduler.address"}) {
                client.set(key, running.get(key));
            }
        }
        File files = new File(folder, "conf");
        files.mkdirs();
        for (String name : new String[] {"core-site.xml", "yarn-site.xml"}) {
            try (FileOutputStream file = new FileOutputStream(new File(files, name))) {
                client.writeXml(file);
            }
        }
        System.out.println("READY " + uri);
        System.out.flush();
        while (System.in.read() >= 0) {
        }
    }

    private static Configuration startYarn(Configuration conf) throws Exception {
        conf.set("yarn.nodemanager.resource.memory-mb", "4096");
        conf.set("yarn.scheduler.minimum-allocation-mb", "128");
        conf.set("yarn.scheduler.capacity.root.queues", "default");
        conf.set("yarn.scheduler.capacity.root.default.capacity", "100");
        conf.set("yarn.scheduler.capacity.maximum-am-resource-percent", "1");
        // A machine of tests may be short of disk, and its JVMs map more than they use.
        conf.set("yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage", "100");
        conf.set("yarn.nodemanager.vmem-check-enabled", "false");
        conf.set("yarn.application.classpath", "");
        MiniYARNCluster nodes = new MiniYARNCluster("yarn", 2, 1, 1);
        nodes.init(conf);
        nodes.start();
        if (!nodes.waitForNodeManagersToConnect(60000)) {
            throw new IllegalStateException("no node has registered");
        }
        return nodes.getConfig();
    }
}
