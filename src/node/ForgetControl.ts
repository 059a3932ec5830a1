/** `skein forget`: says in the mesh that a host is gone for good, which it did not say itself. */
import { createHash } from "node:crypto"
import { Clock, Effect } from "effect"
import { AdminConflict, AdminForbidden, AdminInvalid, AdminNotFound } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import { describeRevocation } from "../mesh/trust/Revocations.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import { isNodeName, isPeerKey, type PeerKey } from "../model/Names.ts"
import { maxForgotten } from "../schema/ForgottenSchema.ts"
import { trustName } from "../schema/TrustSchema.ts"
import { nodesIn } from "./ForgottenNodes.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import type { MeshSettings } from "./MeshSettings.ts"

/** A record is over by then, and a certificate that long ago (ms). */
const remembered = 30 * 86_400_000

export interface ForgetOptions {
  readonly plane: Pick<MeshPlane, "revocations" | "stranded"> & {
    readonly catalogue: Pick<CatalogueShape, "current">
    readonly membership: Pick<MembershipShape, "stateOf">
    readonly settings: Pick<MeshSettings, "view" | "write">
  }
  readonly self: () => { readonly peer: PeerKey; readonly name: string }
  readonly audit: RecordAudit
}

type Forget = AdminSource["Type"]["forget"]

/** The record of who is called so, or of the peer. Of several of one name, the one that is not alive. */
const recordOf = (plane: ForgetOptions["plane"], node: string) => {
  const { catalogue, membership, stranded } = plane
  const all = [...catalogue.current().entries(), ...stranded()].map(({ record }) => record)
  const meant = all.filter(({ name, peer }) => (isPeerKey(node) ? peer === node : name === node))
  return meant.find(({ peer }) => membership.stateOf(peer) !== "alive") ?? meant[0]
}

const whyNot = (
  { revocations }: ForgetOptions["plane"],
  node: string
): AdminConflict | AdminInvalid | AdminNotFound => {
  if (node.trim() === "") {
    const message = "nobody is named who is to be forgotten"
    return new AdminInvalid({ code: "invalid", message, hint: "`skein members` lists the dead." })
  }
  const out = revocations.current.all.find(
    ({ body }) => body.revoke === "node" && (body.peer === node || body.called === node)
  )
  if (out !== undefined) {
    return new AdminConflict({
      code: "revoked",
      message: `nothing is held of ${node} that could be forgotten: ${describeRevocation(out)}`,
      hint: `It is listed as long as that holds. \`skein delete trust ${trustName(out.body)}\` would let it in again.`
    })
  }
  return new AdminNotFound({
    code: "not_there",
    message: `there is no node ${isNodeName(node) ? node : JSON.stringify(node)} in the mesh`,
    hint: "`skein members` lists those there are."
  })
}

/** `skein forget`. */
export const makeForget = ({ audit, plane, self }: ForgetOptions): Forget => {
  // One at a time: each is written beside those before it.
  const turns = Effect.unsafeMakeSemaphore(1)
  return ({ author, node }) =>
    Effect.gen(function* () {
      const record = recordOf(plane, node)
      if (record === undefined) return yield* whyNot(plane, node)
      const state = record.state === "left" ? "left" : plane.membership.stateOf(record.peer)
      if (record.peer === self().peer || state === "alive" || state === "suspect") {
        return yield* new AdminConflict({
          code: "still_there",
          message: `${record.name} is ${state ?? "this node"}, and would be back at once`,
          hint: `On its host: \`skein leave\`. Against its will: \`skein revoke ${record.name}\`.`
        })
      }
      const at = yield* Clock.currentTimeMillis
      const name = createHash("sha256").update(self().peer).digest("hex").slice(0, 32)
      const held = plane.settings.view().get("forgotten")?.get(name)
      const { epoch, peer, version } = record
      const mark = { peer, called: record.name, epoch, version, at }
      const nodes = [
        ...nodesIn(held?.body).filter((one) => one.peer !== peer && one.at + remembered > at),
        mark
      ].slice(-maxForgotten)
      yield* plane.settings
        .write({ kind: "forgotten", name, body: { nodes }, author, why: undefined })
        .pipe(
          Effect.mapError(({ code, hint, message }) =>
            code === "not_granted"
              ? new AdminForbidden({ code, message, hint })
              : new AdminInvalid({ code, message, hint })
          )
        )
      audit({ event: "member.forgotten", by: author, from: self().name, about: record.name })
      return { node: record.name, peer }
    }).pipe(turns.withPermits(1))
}
