/** What an operator can do to a running node: drain, leave, reload, invite. */
import { Clock, Effect, Either } from "effect"
import { AdminConflict, AdminForbidden, AdminInvalid } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import { describeChanges, describeWarnings, diffConfig } from "../config/ConfigDiff.ts"
import { type ConfigOverride, readConfig } from "../config/ConfigFile.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { createInvite, maxBootstrap } from "../identity/Invite.ts"
import type { IdentityCell } from "../identity/NodeIdentity.ts"
import type { Inbound } from "../inbound/Inbound.ts"
import type { Drain } from "./Drain.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import type { PolicyWatch } from "./PolicyWatch.ts"

export interface ControlsOptions {
  readonly configPath: string | undefined
  readonly overrides: ReadonlyArray<ConfigOverride>
  readonly identity: IdentityCell
  readonly plane: MeshPlane
  readonly inbound: Pick<Inbound, "inFlight">
  readonly drain: Drain
  readonly current: () => NodeConfig
  /** Policies that reach nobody, by the config at hand. */
  readonly reach: Pick<PolicyWatch, "all">
  /** Makes the changeable part of a config take effect. */
  readonly apply: (next: NodeConfig) => Effect.Effect<void, Error>
}

export type Controls = Pick<AdminSource["Type"], "drain" | "leave" | "reload" | "invite">

export const makeControls = (options: ControlsOptions): Controls => {
  const { configPath, drain, identity, inbound, plane } = options

  // One reload at a time: each compares with what the one before has put into effect.
  const turns = Effect.unsafeMakeSemaphore(1)
  const reload: Controls["reload"] = Effect.gen(function* () {
    if (configPath === undefined) {
      return yield* new AdminConflict({
        code: "no_config_file",
        message: "this node was started from a value in a program and has no config to read again",
        hint: "Restart the program with the new config."
      })
    }
    const { config: next, warnings } = yield* readConfig(configPath, options.overrides).pipe(
      Effect.mapError(
        ({ message }) =>
          new AdminConflict({
            code: "invalid_config",
            message,
            hint: "Nothing was changed. Mend the file and reload again."
          })
      )
    )
    const diff = diffConfig(options.current(), next)
    // Once begun it is finished, also when the command that asked for it is broken off.
    yield* Effect.uninterruptible(options.apply(diff.effective)).pipe(
      Effect.mapError(
        ({ message }) =>
          new AdminConflict({
            code: "not_applied",
            message,
            hint: "The config was read, but could not be put into effect."
          })
      )
    )
    return {
      changes: describeChanges(diff),
      warnings: [...describeWarnings(diff), ...warnings, ...options.reach.all()]
    }
  }).pipe(turns.withPermits(1))

  /** Own addresses first, then those of members that can admit too: this node may be gone then. */
  const bootstrap = (): ReadonlyArray<string> => {
    const self = identity.current.peer
    const own = plane.host.addresses().map((address) => `${address}/p2p/${self}`)
    const others = Array.from(plane.catalogue.current().entries())
      .filter(
        ({ record }) =>
          record.peer !== self &&
          record.state === "serving" &&
          plane.membership.stateOf(record.peer) === "alive" &&
          plane.admitted.get(record.peer)?.capabilities.includes("admit") === true
      )
      .flatMap(({ record }) =>
        record.addresses.slice(0, 1).map((address) => `${address}/p2p/${record.peer}`)
      )
    return [...own.slice(0, maxBootstrap / 2), ...others].slice(0, maxBootstrap)
  }

  return {
    reload,
    drain: Effect.map(drain.begin, ({ acknowledged, told }) => ({
      inFlight: inbound.inFlight,
      acknowledged,
      members: told,
      deadlineMs: options.current().drain.deadline
    })),
    leave: Effect.map(drain.leave, ({ acknowledged }) => ({ told: acknowledged })),
    invite: ({ services, capabilities, ttlMs }) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const addresses = bootstrap()
        if (addresses.length === 0) {
          return yield* new AdminInvalid({
            code: "no_address",
            message: "this node listens nowhere that another host could be told of",
            hint: "Give it node.listen or node.announce in its config."
          })
        }
        const token = createInvite(identity.current, {
          bootstrap: addresses,
          grant: { services, capabilities },
          ttl: ttlMs,
          now
        })
        if (Either.isLeft(token)) {
          return yield* new AdminForbidden({
            code: token.left.code,
            message: token.left.message,
            hint: "`skein status` shows what this node may grant."
          })
        }
        return { token: token.right, expiresAt: now + ttlMs, bootstrap: addresses }
      })
  }
}
