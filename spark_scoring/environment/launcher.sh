#!/bin/sh
# Runs this node's Python @PYTHON@ with the packages of this archive, and with none of the node's own.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 127
fits='import sys; sys.exit(sys.version_info[:2] != (@MAJOR@, @MINOR@))'
python=
for candidate in "$SPARK_SCORING_PYTHON" python@PYTHON@ python3 python; do
    [ -n "$candidate" ] && "$candidate" -S -E -c "$fits" >/dev/null 2>&1 && python=$candidate && break
done
if [ -z "$python" ]; then
    echo "spark-scoring: this environment needs Python @PYTHON@, which is not on this node's PATH ($PATH);" \
        "name it: --conf spark.executorEnv.SPARK_SCORING_PYTHON=/path/to/python@PYTHON@" >&2
    exit 127
fi
options=
while [ $# -gt 0 ]; do
    case "$1" in
    -m | -c | -) break ;;
    -W | -X) options="$options $1 $2" && shift 2 ;;
    -?*) options="$options $1" && shift ;;
    *) break ;;
    esac
done
# -S: nothing of the node's site-packages. PYTHONPATH stays, since Spark's own pyspark comes by it.
exec "$python" $options -S "$here/start.py" "$@"
