/**
 * Skein for Effect programs: a node as a layer, calls through the mesh, policies as values.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const client = yield* HttpClient.HttpClient
 *   return yield* client.get("http://payments.mesh/balance")
 * })
 * const Node = SkeinNode.layer({ node: { dataDir: "./node" } }, { join: token })
 * program.pipe(Effect.provide(MeshHttpClient.layer), Effect.provide(Node), Effect.runPromise)
 */
export { CalledBy } from "./api/CalledBy.ts"
export { MeshCaller } from "./api/MeshCaller.ts"
export { MeshFault } from "./api/MeshFault.ts"
export * as MeshHttpClient from "./api/MeshHttpClient.ts"
export * as MeshHttpServer from "./api/MeshHttpServer.ts"
export { MeshProgram } from "./api/MeshProgram.ts"
export {
  apply as applyPolicy,
  BreakerOpen,
  type PolicyEffectOptions,
  type PolicyFailure,
  PolicyTimeout
} from "./api/PolicyEffect.ts"
export type { ServeOptions } from "./api/ServeOptions.ts"
export { loadConfig } from "./config/ConfigFile.ts"
export { ConfigError, type PlacedProblem } from "./config/ConfigProblem.ts"
export {
  defineConfig,
  makeNodeConfig,
  NodeConfig,
  type NodeConfigInput
} from "./config/NodeConfig.ts"
export { type Caller, formatCaller } from "./model/Caller.ts"
export { type Fault, type FaultCode, faultKinds } from "./model/Fault.ts"
export type { RetryCondition } from "./model/Policy.ts"
export type { Problem } from "./model/Problem.ts"
export { type InitMeshOptions, initMesh } from "./node/InitMesh.ts"
export type { NodeInput, ProgramNode, RunningNode } from "./node/RunningNode.ts"
export { StartError } from "./node/StartError.ts"
export {
  classifyFault,
  classifyStatus,
  type Verdict,
  verdicts
} from "./request/policy/Classifier.ts"
export { retryAfterMillis } from "./request/policy/RetryAfter.ts"
export { AttachError, type AttachOptions, Skein } from "./Skein.ts"
export { runNode, SkeinNode } from "./SkeinNode.ts"
export type { DurationText } from "./schema/Duration.ts"
export { MeshId, NodeName, PeerKey, ServiceName } from "./schema/NamesSchema.ts"
export { PolicyError } from "./schema/PolicyError.ts"
export {
  decodePolicy,
  defaultPolicy,
  makePolicy,
  Policy,
  type PolicyInput
} from "./schema/PolicySchema.ts"
export { ServeRefused } from "./schema/ProgramOfferSchema.ts"
export { defineSetting, type SettingInput } from "./schema/SettingKinds.ts"
