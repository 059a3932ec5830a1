/**
 * @effect/rpc over the mesh, for programs that have it (`npm install @effect/rpc`): apart from the rest of
 * the library, which needs none.
 */
export * as MeshRpc from "./api/RpcOverMesh.ts"
