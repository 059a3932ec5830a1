/** What an operator can do to a running node: drain, leave, reload, invite. */
import { Clock, Effect, Either } from "effect"
import { AdminConflict, AdminForbidden, AdminInvalid } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import { describeChanges, describeWarnings, diffConfig } from "../config/ConfigDiff.ts"
import { type ConfigOverride, readConfig } from "../config/ConfigFile.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { createInvite, maxBootstrap, parseInvite } from "../mesh/trust/Invite.ts"
import { tryInvite } from "../mesh/trust/InviteTrial.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import { invitedEvent } from "./AuditEvents.ts"
import { tryAddress } from "./DialBack.ts"
import type { Drain } from "./Drain.ts"
import { makeForget } from "./ForgetControl.ts"
import {
  admittersOf,
  bootstrapOf,
  type Host,
  mendOf,
  ownAddresses,
  timeOfOthers,
  warningsOf
} from "./Inviting.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import type { PolicyWatch } from "./PolicyWatch.ts"
import { makeRevoke } from "./RevokeControl.ts"
import { makeRootControl } from "./RootControl.ts"

/** A member whose address goes into a token has to answer there, within so many ms… */
const knockTime = 2_000
/** …and so many of its addresses are tried. */
const knocks = 4

interface Candidate {
  readonly certificate: VerifiedCertificate
  /** As its record announces them. */
  readonly addresses: ReadonlyArray<string>
}

export interface ControlsOptions {
  readonly configPath: string | undefined
  readonly overrides: ReadonlyArray<ConfigOverride>
  readonly identity: IdentityCell
  readonly audit: RecordAudit
  readonly plane: MeshPlane
  /** Exchanges of others that run here. */
  readonly inFlight: Effect.Effect<number>
  readonly drain: Drain
  readonly current: () => NodeConfig
  /** Policies that reach nobody, by the config at hand. */
  readonly reach: Pick<PolicyWatch, "all">
  /** Listeners of the config at hand for which this node may not speak. */
  readonly ungranted: () => ReadonlyArray<string>
  /** Makes the changeable part of a config take effect. */
  readonly apply: (next: NodeConfig) => Effect.Effect<void, Error>
}

export type Controls = Pick<
  AdminSource["Type"],
  | "drain"
  | "leave"
  | "reload"
  | "invite"
  | "forget"
  | "revoke"
  | "roots"
  | "rotateRoot"
  | "finishRoot"
>

export const makeControls = (options: ControlsOptions): Controls => {
  const { configPath, drain, identity, inFlight, plane } = options

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
      warnings: [
        ...describeWarnings(diff),
        ...warnings,
        ...options.reach.all(),
        ...options.ungranted()
      ]
    }
  }).pipe(turns.withPermits(1))

  /** Members that are there, and what they hold. Where each is reached is found out when it matters. */
  const others = (): ReadonlyArray<Candidate> =>
    Array.from(plane.catalogue.current().entries()).flatMap(({ record }) => {
      const certificate = plane.admitted.get(record.peer)
      return certificate !== undefined &&
        record.peer !== identity.current.peer &&
        record.state === "serving" &&
        plane.membership.stateOf(record.peer) === "alive"
        ? [{ certificate, addresses: record.addresses }]
        : []
    })

  /** The first of its addresses at which it answers this node, now or when it was dialled there. */
  const proven = ({ addresses, certificate }: Candidate): Effect.Effect<Host> => {
    const { peer } = certificate
    const connections = plane.host.connections(peer)
    const dialled = addresses.find((address) =>
      connections.some((one) => one.direction === "outbound" && one.address === address)
    )
    return dialled !== undefined
      ? Effect.succeed({ certificate, address: dialled })
      : Effect.map(
          Effect.forEach(
            addresses.slice(0, knocks),
            (address) => tryAddress(plane.host, peer, address, knockTime),
            { concurrency: "unbounded" }
          ),
          (answers) => ({ certificate, address: addresses.find((_, index) => answers[index]) })
        )
  }

  const invite: Controls["invite"] = ({ services, speaks, capabilities, names, ttlMs, uses }) =>
    Effect.gen(function* () {
      const grant = { services, speaks, capabilities }
      const limits = { names, uses }
      const candidates = admittersOf(grant, others()).slice(0, 2 * maxBootstrap)
      const [admitters] = yield* Effect.all(
        [
          Effect.forEach(candidates, proven, { concurrency: "unbounded" }),
          plane.addressChecks.tryNow
        ],
        { concurrency: "unbounded" }
      )
      const now = yield* Clock.currentTimeMillis
      const { current: self } = identity
      const own = ownAddresses(
        plane.addressChecks.reports(),
        plane.addressChecks.isConfigured,
        admitters.some(({ address }) => address !== undefined)
      )
      const bootstrap = bootstrapOf(self.peer, own.carried, admitters)
      if (bootstrap.length === 0) {
        return yield* new AdminInvalid({
          code: "no_address",
          message: "this node listens nowhere that another host could be told of",
          hint: "Give it node.listen or node.announce in its config."
        })
      }
      return yield* createInvite(self, {
        ...{ bootstrap, grant, limits, ttl: ttlMs, now }
      }).pipe(
        // Not printed unless somebody would accept it, here and by the clocks of the others.
        Either.flatMap((token) =>
          Either.all([
            tryInvite(self, token, now, plane.revocations.current),
            Either.mapLeft(
              tryInvite(self, token, timeOfOthers(plane.clockReport.status(), now)),
              ({ message }) => ({
                code: "clock_wrong",
                message: `by the clocks of the other members, with which this host's does not agree: ${message}`
              })
            )
          ]).pipe(Either.map(() => token))
        ),
        Either.map((token) => ({
          ...{ token, bootstrap, expiresAt: now + ttlMs },
          ...Either.match(parseInvite(token, now), {
            onLeft: () => ({}),
            onRight: ({ id }) => ({ id })
          }),
          warnings: [...warningsOf(bootstrap), ...own.warnings]
        })),
        Either.map((made) => {
          const { expiresAt, id } = made
          options.audit(invitedEvent({ by: self.name, id, grant, limits, expiresAt }))
          return made
        }),
        Either.mapLeft(
          ({ code, message }) =>
            new AdminForbidden({ code, message, hint: mendOf(code, admitters) })
        )
      )
    })

  return {
    reload,
    forget: makeForget({ plane, self: () => identity.current, audit: options.audit }),
    revoke: makeRevoke({ identity: () => identity.current, plane }),
    ...makeRootControl({
      ...{ identity, plane, dataDir: options.current().node.dataDir }
    }),
    drain: Effect.map(Effect.zip(drain.begin, inFlight), ([{ acknowledged, told }, inFlight]) => ({
      inFlight,
      acknowledged,
      members: told,
      deadlineMs: options.current().drain.deadline
    })),
    leave: Effect.map(drain.leave, ({ acknowledged }) => ({ told: acknowledged })),
    invite
  }
}
