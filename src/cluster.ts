/**
 * @effect/cluster and @effect/workflow on the mesh, for programs that have them (`npm install @effect/cluster
 * @effect/workflow @effect/rpc @effect/sql @effect/experimental`): apart from the rest of the library, which needs none.
 */
export * as MeshCluster from "./cluster/MeshCluster.ts"
export * as SqliteClient from "./cluster/SqliteClient.ts"
