/** What an operator sees of the mesh's settings and does to them. */
import { createHash } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import { Effect } from "effect"
import { AdminConflict, AdminForbidden, AdminInvalid, AdminNotFound } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import type {
  SettingStatus,
  SettingsChange,
  SettingsChanged,
  SettingVersionStatus
} from "../admin/SettingsModel.ts"
import { inVain, writtenHttpParts } from "../config/PolicyReach.ts"
import type { SettledName } from "../mesh/settings/SettledName.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import { formatPath } from "../model/Problem.ts"
import {
  isSameStamp,
  type SettingStamp,
  type SettingVersion,
  settingKey
} from "../model/Setting.ts"
import { explainPolicy } from "../schema/LayeredPolicy.ts"
import { isOfNodes } from "../schema/SettingKinds.ts"
import type { MeshSettings } from "./MeshSettings.ts"
import type { ServicePolicies } from "./ServicePolicies.ts"
import { SettingNotWritten } from "./SettingNotWritten.ts"
import type { SettingSpread, WantedVersion } from "./SettingSpread.ts"

export interface SettingControlsOptions {
  readonly settings: MeshSettings
  readonly spread: SettingSpread
  readonly nameOf: (peer: PeerKey) => string
  readonly policies: Pick<ServicePolicies, "explain">
  /** What the mesh offers a service as; undefined: nobody offers it. */
  readonly protocolOf: (service: string) => Protocol | undefined
}

export type SettingControls = Pick<
  AdminSource["Type"],
  "settings" | "settingHistory" | "changeSettings" | "checkSettings" | "policy"
>

/** Short enough to be typed: eight hex digits, of who wrote it and when. */
export const versionId = ({ signer, epoch, version }: SettingStamp): string =>
  createHash("sha256").update(`${signer} ${epoch} ${version}`).digest("hex").slice(0, 8)

const versionStatus = (one: SettingVersion): SettingVersionStatus => {
  const { signer, epoch, version, signedAt, author, node, why = null, body = null } = one
  return { id: versionId(one), signer, epoch, version, signedAt, author, node, why, body }
}

const statusOf = ({ kind, name, inForce, conflict }: SettledName): SettingStatus => ({
  ...{ kind, name },
  ...versionStatus(inForce),
  conflict: conflict.map(versionStatus)
})

const adminError = ({ code, message, hint }: SettingNotWritten) => {
  const told = { code, message, hint }
  switch (code) {
    case "not_granted":
      return new AdminForbidden(told)
    case "not_there":
      return new AdminNotFound(told)
    case "full":
    case "clock_behind":
    case "refused":
      return new AdminConflict(told)
    case "invalid":
    case "too_large":
    case "unknown_kind":
      return new AdminInvalid(told)
  }
}

type Change = SettingsChange["changes"][number]

const notForPeople = (kind: string) =>
  new SettingNotWritten({
    code: "invalid",
    message: `settings of the kind ${kind} are kept by nodes for each other, and not to be changed`,
    hint: "Nothing was changed."
  })

const inVainFor = (setting: string, message: string) =>
  new SettingNotWritten({
    code: "invalid",
    message: `${setting}: ${message}`,
    hint: "Nothing was changed. Of TCP nobody sees requests, methods or statuses."
  })

export const makeSettingControls = ({
  nameOf,
  policies,
  protocolOf,
  settings,
  spread
}: SettingControlsOptions): SettingControls => {
  const { table } = settings
  // One command at a time: what it compares with is what it changes.
  const turns = Effect.unsafeMakeSemaphore(1)

  /** What is wrong with any of them, before one is written. */
  const judge = (changes: ReadonlyArray<Change>) =>
    Effect.gen(function* () {
      for (const { body, kind, name } of changes) {
        if (isOfNodes(kind)) return yield* notForPeople(kind)
        yield* settings.check({ kind, name, body: body ?? undefined })
        const vain =
          kind === "policy" ? inVain(name, writtenHttpParts(body), protocolOf(name)) : undefined
        if (vain !== undefined) return yield* inVainFor(`${kind} ${name}`, vain)
      }
    })

  /** What holds already, and says just this. */
  const alike = ({ kind, name, body }: Change): SettingVersion | undefined => {
    const before = table.settled(kind, name)
    const isAlike =
      before?.conflict.length === 0 && isDeepStrictEqual(before.inForce.body, body ?? undefined)
    return isAlike ? before.inForce : undefined
  }

  const write = (change: Change, author: string) =>
    Effect.gen(function* () {
      const { kind, name, body, why } = change
      const before = table.settled(kind, name)
      const settles = before?.conflict.length ?? 0
      const wanted = body ?? undefined
      const same = alike(change)
      if (same !== undefined) {
        return { kind, name, inForce: same, outcome: "unchanged" as const, settles }
      }
      const inForce = yield* settings.write({ kind, name, body: wanted, author, why })
      const outcome =
        wanted === undefined
          ? ("deleted" as const)
          : before?.inForce.body === undefined
            ? ("created" as const)
            : ("changed" as const)
      return { kind, name, inForce, outcome, settles }
    })

  const seenBy = (wanted: ReadonlyArray<WantedVersion>, waitMs: number) =>
    Effect.map(spread(wanted, waitMs), ({ away, missing, seen }) => ({
      // And this one.
      nodes: seen.length + 1,
      of: seen.length + missing.length + 1,
      missing: missing.map(nameOf),
      away: away.map(nameOf)
    }))

  return {
    policy: (service) =>
      Effect.sync(() => {
        const layered = policies.explain(service)
        return {
          service,
          values: explainPolicy(layered).map(({ by, path, source, value = null }) => ({
            ...{ path: formatPath(path), value, source, by }
          })),
          leftOut: layered.leftOut.map(({ layer: { by, source }, part, reason }) => ({
            ...{ part, source, by, reason }
          }))
        }
      }),
    settings: ({ kind, name }) =>
      Effect.sync(() =>
        table
          .all()
          .filter(
            (one) =>
              (kind === undefined || one.kind === kind) &&
              (name === undefined || one.name === name) &&
              // A deletion is shown as long as somebody contradicts it.
              (one.inForce.body !== undefined || one.conflict.length > 0)
          )
          .map(statusOf)
      ),
    settingHistory: ({ kind, name }) =>
      Effect.suspend(() => {
        const settled = table.settled(kind, name)
        if (settled === undefined) {
          const message = `as far as this node knows there never was a setting ${kind} ${name}`
          const hint =
            "`skein get` lists what there is; what was deleted is forgotten after a month."
          return Effect.fail(new AdminNotFound({ code: "not_there", message, hint }))
        }
        const { conflict, inForce } = settled
        return Effect.succeed(
          table.history(kind, name).map((one) => ({
            ...versionStatus(one),
            state: isSameStamp(one, inForce)
              ? ("in_force" as const)
              : conflict.some((other) => isSameStamp(one, other))
                ? ("apart" as const)
                : ("past" as const)
          }))
        )
      }),
    checkSettings: ({ changes, author }) =>
      judge(changes).pipe(
        Effect.zipRight(
          Effect.forEach(
            changes.filter((change) => alike(change) === undefined),
            ({ body, kind, name, why }) =>
              settings.foresee({ kind, name, body: body ?? undefined, author, why }),
            { discard: true }
          )
        ),
        Effect.mapError(adminError),
        turns.withPermits(1),
        Effect.as({ accepted: changes.length })
      ),
    changeSettings: ({ changes, author, waitMs }) =>
      Effect.gen(function* () {
        const results = yield* judge(changes).pipe(
          Effect.zipRight(Effect.forEach(changes, (change) => write(change, author))),
          Effect.mapError(adminError),
          turns.withPermits(1),
          Effect.uninterruptible
        )
        const wanted = results.map(({ inForce, kind, name }) => ({
          key: settingKey({ signer: inForce.signer, kind, name }),
          epoch: inForce.epoch,
          version: inForce.version
        }))
        // Who asked may go away while it is waited; what is set is set.
        const seen = waitMs === 0 ? null : yield* seenBy(wanted, waitMs)
        return {
          results: results.map(({ inForce, kind, name, outcome, settles }) => ({
            ...{ kind, name, id: versionId(inForce), outcome, settles }
          })),
          seen
        } satisfies SettingsChanged
      })
  }
}
