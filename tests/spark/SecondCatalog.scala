// A second catalog for the tests: Delta's own catalog over a register of tables and views in memory.
//
// It is put together as the Spark connector of Unity Catalog is, which no package registry has: the register hands out
// a table as V1Table, where its folder is and what provides it, and Delta does the rest. Delta goes the way of Unity
// Catalog only where the name of the register's class begins with io.unitycatalog, hence the package.
package io.unitycatalog.spark.tests

import java.net.URI
import java.util

import scala.collection.concurrent.TrieMap
import scala.jdk.CollectionConverters._

import org.apache.spark.sql.catalyst.TableIdentifier
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.catalog.{CatalogStorageFormat, CatalogTable, CatalogTableType}
import org.apache.spark.sql.connector.catalog._
import org.apache.spark.sql.connector.expressions.Transform
import org.apache.spark.sql.delta.catalog.DeltaCatalog
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.util.CaseInsensitiveStringMap

/** Named by `spark.sql.catalog.NAME`; `spark.sql.catalog.NAME.folder` is where its tables are made. */
class SecondCatalog extends DeltaCatalog with RelationCatalog {
  private var register: Register = _
  private var folder = ""

  override def initialize(name: String, options: CaseInsensitiveStringMap): Unit = {
    folder = options.get("folder")
    register = new Register
    register.initialize(name, options)
    setDelegateCatalog(register)
    super.initialize(name, options)
  }

  /** A table that is not told where it lies gets a folder. */
  private def placed(ident: Identifier, properties: util.Map[String, String]): util.Map[String, String] = {
    val all = new util.HashMap[String, String](properties)
    if (!all.containsKey(TableCatalog.PROP_LOCATION)) {
      all.put(TableCatalog.PROP_LOCATION, s"$folder/${util.UUID.randomUUID()}")
      all.put(TableCatalog.PROP_IS_MANAGED_LOCATION, "true")
    }
    all
  }

  override def createTable(
      ident: Identifier, columns: Array[Column], partitions: Array[Transform],
      properties: util.Map[String, String]): Table =
    super.createTable(ident, columns, partitions, placed(ident, properties))

  override def createTable(
      ident: Identifier, schema: StructType, partitions: Array[Transform],
      properties: util.Map[String, String]): Table =
    super.createTable(ident, schema, partitions, placed(ident, properties))

  override def stageCreate(
      ident: Identifier, columns: Array[Column], partitions: Array[Transform],
      properties: util.Map[String, String]): StagedTable =
    super.stageCreate(ident, columns, partitions, placed(ident, properties))

  override def stageCreate(
      ident: Identifier, schema: StructType, partitions: Array[Transform],
      properties: util.Map[String, String]): StagedTable =
    super.stageCreate(ident, schema, partitions, placed(ident, properties))

  override def loadTable(ident: Identifier): Table = super[DeltaCatalog].loadTable(ident)
  override def tableExists(ident: Identifier): Boolean = super[DeltaCatalog].tableExists(ident)
  override def loadRelation(ident: Identifier): Relation =
    register.views.getOrElse(ident, loadTable(ident))
  override def loadView(ident: Identifier): View =
    register.views.getOrElse(ident, throw new NoSuchViewException(ident))
  override def viewExists(ident: Identifier): Boolean = register.views.contains(ident)
  override def listViews(namespace: Array[String]): Array[Identifier] =
    register.views.keys.filter(_.namespace.sameElements(namespace)).toArray
  override def createView(ident: Identifier, view: View): View = { register.views.put(ident, view); view }
  override def replaceView(ident: Identifier, view: View): View = createView(ident, view)
  override def dropView(ident: Identifier): Boolean = register.views.remove(ident).isDefined
  override def renameView(from: Identifier, to: Identifier): Unit = throw new UnsupportedOperationException
}

/** What the catalog knows of its tables: their names, and where each of them lies. */
class Register extends TableCatalog with SupportsNamespaces {
  private val namespaces = TrieMap[String, util.Map[String, String]]()
  private val tables = TrieMap[Identifier, CatalogTable]()
  val views = TrieMap[Identifier, View]()
  private var catalog = ""

  override def initialize(name: String, options: CaseInsensitiveStringMap): Unit = catalog = name
  override def name(): String = catalog

  override def loadTable(ident: Identifier): Table =
    // Spark keeps the class to itself.
    Class.forName("org.apache.spark.sql.connector.catalog.V1Table")
      .getConstructor(classOf[CatalogTable])
      .newInstance(tables.getOrElse(ident, throw new NoSuchTableException(ident)))
      .asInstanceOf[Table]

  override def createTable(
      ident: Identifier, schema: StructType, partitions: Array[Transform],
      properties: util.Map[String, String]): Table = {
    if (!namespaceExists(ident.namespace)) throw new NoSuchNamespaceException(ident.namespace)
    val table = CatalogTable(
      TableIdentifier(ident.name, ident.namespace.headOption, Some(catalog)),
      if (properties.containsKey(TableCatalog.PROP_IS_MANAGED_LOCATION)) CatalogTableType.MANAGED
      else CatalogTableType.EXTERNAL,
      CatalogStorageFormat.empty.copy(locationUri = Some(new URI(properties.get(TableCatalog.PROP_LOCATION)))),
      schema,
      provider = Some(properties.get(TableCatalog.PROP_PROVIDER)),
      tracksPartitionsInCatalog = false)
    if (tables.putIfAbsent(ident, table).isDefined) throw new TableAlreadyExistsException(ident)
    loadTable(ident)
  }

  // Unity Catalog's open-source connector refuses the same.
  override def alterTable(ident: Identifier, changes: TableChange*): Table =
    throw new UnsupportedOperationException("Altering a table is not supported yet")
  override def renameTable(from: Identifier, to: Identifier): Unit =
    throw new UnsupportedOperationException("Renaming a table is not supported yet")
  override def dropTable(ident: Identifier): Boolean = tables.remove(ident).isDefined
  override def listTables(namespace: Array[String]): Array[Identifier] =
    tables.keys.filter(_.namespace.sameElements(namespace)).toArray

  override def listNamespaces(): Array[Array[String]] = namespaces.keys.map(Array(_)).toArray
  override def listNamespaces(namespace: Array[String]): Array[Array[String]] = Array.empty
  override def loadNamespaceMetadata(namespace: Array[String]): util.Map[String, String] =
    namespace.headOption.flatMap(namespaces.get).getOrElse(throw new NoSuchNamespaceException(namespace))
  override def createNamespace(namespace: Array[String], metadata: util.Map[String, String]): Unit =
    if (namespaces.putIfAbsent(namespace.head, metadata).isDefined) {
      throw new NamespaceAlreadyExistsException(namespace)
    }
  override def alterNamespace(namespace: Array[String], changes: NamespaceChange*): Unit =
    throw new UnsupportedOperationException
  override def dropNamespace(namespace: Array[String], cascade: Boolean): Boolean = {
    for (ident <- tables.keys ++ views.keys if ident.namespace.sameElements(namespace)) {
      tables.remove(ident)
      views.remove(ident)
    }
    namespaces.remove(namespace.head).isDefined
  }
}
