/**
 * Actors, for programs that have @effect/rpc (`npm install @effect/rpc`): apart from the rest of the library,
 * which needs none. In PostgreSQL they are kept by `skein/postgres`.
 */
export * as Actor from "./entity/Actor.ts"
export { type ActorAddress, CurrentAddress } from "./entity/ActorAddress.ts"
export * as ActorBehaviour from "./entity/ActorBehaviour.ts"
export * as ActorCron from "./entity/ActorCron.ts"
export { ActorUnavailable, MailboxFull } from "./entity/ActorError.ts"
export { ActorEvent } from "./entity/ActorEvent.ts"
export * as ActorMesh from "./entity/ActorMesh.ts"
export * as ActorState from "./entity/ActorState.ts"
export { type ActorFailure, Actors, type Guarantee, layerLocal } from "./entity/Actors.ts"
export { CurrentActivation } from "./entity/CurrentActivation.ts"
export type { Reminders, ReminderTime } from "./entity/Reminders.ts"
export * as Singleton from "./entity/Singleton.ts"
export { ActorStore } from "./entity/store/ActorStore.ts"
export * as MemoryStore from "./entity/store/MemoryStore.ts"
export * as SqliteStore from "./entity/store/SqliteStore.ts"
export { StateVersions, stateOf } from "./entity/store/StateVersions.ts"
export { type Behaviour, type Moment, noActions, type PureActor } from "./mesh/actor/Behaviour.ts"
