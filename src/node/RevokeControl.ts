/**
 * `skein revoke`: says in the mesh that something is thrown out. What the node itself had thrown out is said
 * again by this one, so that it holds whatever the other says from now on.
 */
import { Clock, Effect, Either } from "effect"
import { AdminForbidden, AdminInvalid, AdminNotFound } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { RevocationStatus, RevokeResult } from "../admin/TrustModel.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { describeRevocation, type Revocation } from "../mesh/trust/Revocations.ts"
import { settingKey } from "../model/Setting.ts"
import { type TrustBody, trustName } from "../schema/TrustSchema.ts"
import { matchGrant } from "./GrantMatch.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { bodyOf, type Known, type RevokeProblem } from "./Revoking.ts"
import type { SettingNotWritten } from "./SettingNotWritten.ts"
import type { WantedVersion } from "./SettingSpread.ts"

export interface RevokeOptions {
  readonly identity: () => NodeIdentity
  readonly plane: Pick<
    MeshPlane,
    | "certificateOf"
    | "catalogue"
    | "nameOf"
    | "revocations"
    | "settings"
    | "settingSpread"
    | "stranded"
  >
}

const refused = ({ code, hint, message }: RevokeProblem | SettingNotWritten) =>
  code === "not_there"
    ? new AdminNotFound({ code, message, hint })
    : code === "not_granted" || code === "above"
      ? new AdminForbidden({ code, message, hint })
      : new AdminInvalid({ code, message, hint })

/** All members with a record here, or that had one under a root that is withdrawn, by their newest certificates. */
const membersOf = ({ plane }: RevokeOptions): ReadonlyArray<Known> => [
  ...Array.from(plane.catalogue.current().entries(), ({ record }) => {
    const certificate = plane.certificateOf(record.peer)
    return certificate === undefined ? [] : [{ certificate }]
  }).flat(),
  ...plane.stranded()
]

/** How many of the mesh have it by then. */
export const seenBy = (
  { nameOf, settingSpread }: Pick<MeshPlane, "nameOf" | "settingSpread">,
  wanted: ReadonlyArray<WantedVersion>,
  waitMs: number
) =>
  Effect.map(settingSpread(wanted, waitMs), ({ away, missing, seen }) => ({
    // And this one.
    nodes: seen.length + 1,
    of: seen.length + missing.length + 1,
    missing: missing.map((peer) => nameOf(peer)),
    away: away.map((peer) => nameOf(peer))
  }))

export const makeRevoke =
  (options: RevokeOptions): AdminSource["Type"]["revoke"] =>
  ({ author, target, waitMs, why, withAdmitted }) =>
    Effect.gen(function* () {
      const { plane } = options
      const now = yield* Clock.currentTimeMillis
      const { current: revocations } = plane.revocations
      const members = membersOf(options)
      const sources = { self: options.identity(), members, revocations, now }
      const body = yield* Either.mapLeft(bodyOf({ target, withAdmitted }, sources), refused)
      // As it is before.
      const match = body.revoke === "grant" ? grantMatch(body, options) : undefined
      const say = (what: TrustBody, reason: string | undefined) =>
        plane.settings
          .write({ kind: "trust", name: trustName(what), body: { ...what }, author, why: reason })
          .pipe(
            Effect.map(
              ({ epoch, signer, version }): WantedVersion => ({
                key: settingKey({ kind: "trust", name: trustName(what), signer }),
                ...{ epoch, version }
              })
            ),
            Effect.mapError(refused)
          )
      const theirs =
        body.revoke === "node" ? revocations.all.filter(({ signer }) => signer === body.peer) : []
      // All of it, though the asker goes away. Its own last: with it the other's word is over.
      const wanted = yield* Effect.uninterruptible(
        Effect.forEach([...theirs, { body, why }], (one) => say(one.body, one.why))
      )
      const names = [body, ...theirs.map((one) => one.body)].map(trustName)
      return {
        revoked: plane.revocations.current.all
          .filter((one) => names.includes(trustName(one.body)))
          .map(describeRevocation),
        stay: body.revoke === "node" ? body.stay.map((peer) => plane.nameOf(peer)) : [],
        seen: waitMs === 0 ? null : yield* seenBy(plane, wanted, waitMs),
        setting: trustName(body),
        ...(match === undefined ? {} : { match })
      }
    })

const grantMatch = (
  { called, peer, service }: Extract<TrustBody, { readonly revoke: "grant" }>,
  { plane }: RevokeOptions
): RevokeResult["match"] => {
  const certificate =
    plane.certificateOf(peer) ??
    plane.stranded().find(({ record }) => record.peer === peer)?.certificate
  if (certificate === undefined) return null
  const offered = plane.catalogue.current().node(peer)?.record.services ?? []
  return {
    ...{ of: called ?? peer, service },
    ...matchGrant(
      service,
      certificate,
      offered.map(({ name }) => name)
    )
  }
}

/** For people. */
export const revocationRow = (revocation: Revocation): RevocationStatus => {
  const { at, body, by, why } = revocation
  const setting = trustName(body)
  const said = { kind: body.revoke, why: why ?? null, by, at, setting }
  if (body.revoke === "invite") return { ...said, target: body.invite, peer: null }
  const name = body.called ?? body.peer
  const target = body.revoke === "grant" ? `${name}/${body.service}` : name
  return { ...said, target, peer: body.peer }
}
