/**
 * Skein for Effect programs: a node as a layer, calls through the mesh, policies as values.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const client = yield* HttpClient.HttpClient
 *   return yield* client.get("http://payments.mesh/balance")
 * })
 * program.pipe(
 *   Effect.provide(MeshHttpClient.layer),
 *   Effect.provide(SkeinNode.layer({ node: { dataDir: "./data" } }))
 * )
 */
export { MeshCaller } from "./api/MeshCaller.ts"
export * as MeshHttpClient from "./api/MeshHttpClient.ts"
export { MeshFault } from "./api/WebExchange.ts"
export { loadConfig } from "./config/ConfigFile.ts"
export {
  defineConfig,
  makeNodeConfig,
  NodeConfig,
  type NodeConfigInput
} from "./config/NodeConfig.ts"
export { initMesh } from "./identity/DataDir.ts"
export { type Fault, type FaultCode, faultKinds } from "./model/Fault.ts"
export { MeshId, NodeName, PeerKey, ServiceName } from "./model/Names.ts"
export { defaultPolicy, makePolicy, Policy, type PolicyInput } from "./model/Policy.ts"
export { StartError } from "./node/StartError.ts"
export { type NodeInput, type RunningNode, runNode, SkeinNode } from "./node.ts"
export { apply as applyPolicy, BreakerOpen, PolicyTimeout } from "./policy/PolicyEffect.ts"
