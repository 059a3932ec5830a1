/**
 * `skein root rotate`, `finish` and `status`: replaces the root of the mesh by overlap. What is said of roots is
 * signed by the root key of this node, kept with its identity first, and told to the mesh as a setting then;
 * nodes that meet tell each other besides.
 */
import { Clock, Effect, Either } from "effect"
import { AdminConflict, AdminForbidden, AdminInvalid } from "../admin/AdminError.ts"
import type { AdminSource } from "../admin/AdminSource.ts"
import { furtherKind } from "../mesh/catalogue/FurtherRecord.ts"
import { saveIdentity } from "../mesh/keys/DataDir.ts"
import type { DataDirError } from "../mesh/keys/KeyFile.ts"
import { settleRootKey, stageRootKey } from "../mesh/keys/RootKeyFile.ts"
import type { CertificateError } from "../mesh/trust/CertificateError.ts"
import { openEnvelope } from "../mesh/trust/Envelope.ts"
import { heldRoot, type IdentityCell, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { rootIdOf } from "../mesh/trust/Root.ts"
import {
  finishRotation,
  holdsNewestRoot,
  type Rotated,
  rotateRoot
} from "../mesh/trust/RootRotation.ts"
import { memberMark, settingMark } from "../mesh/trust/RootStatement.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import { generateSigningKey } from "../mesh/trust/SigningKey.ts"
import { recordLimits } from "../model/NodeRecord.ts"
import { settingKey } from "../model/Setting.ts"
import { type RootBody, type RootId, rootSettingName } from "../schema/TrustSchema.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { seenBy } from "./RevokeControl.ts"
import { leftUnderOthers, planFinish, type Standing } from "./RootStanding.ts"
import { SettingNotWritten } from "./SettingNotWritten.ts"
import type { WantedVersion } from "./SettingSpread.ts"

export interface RootControlOptions {
  readonly dataDir: string
  readonly identity: IdentityCell
  readonly plane: Pick<
    MeshPlane,
    | "catalogue"
    | "certificateChanged"
    | "certificateOf"
    | "membership"
    | "nameOf"
    | "revocations"
    | "rootsChanged"
    | "settings"
    | "settingSpread"
  >
}

type RootSource = Pick<AdminSource["Type"], "roots" | "rotateRoot" | "finishRoot">

/** For how long a withdrawal waits until everybody knows everybody's new certificate, ms. */
const knownWithin = 10_000

const refused = (error: CertificateError | DataDirError | SettingNotWritten) => {
  const hint =
    error instanceof SettingNotWritten ? error.hint : "`skein root status` says what holds."
  return error._tag === "SettingNotWritten" && error.code === "not_granted"
    ? new AdminForbidden({ code: error.code, message: error.message, hint })
    : new AdminInvalid({ code: error.code, message: error.message, hint })
}

export const makeRootControl = (options: RootControlOptions): RootSource => {
  const { dataDir, identity, plane } = options
  // One at a time: each goes by what the one before has left.
  const turns = Effect.unsafeMakeSemaphore(1)

  const members = (): ReadonlyArray<Standing> =>
    Array.from(plane.catalogue.current().entries()).flatMap(({ record }) => {
      const { name, peer, state } = record
      const certificate = plane.certificateOf(peer)
      const isOut = certificate && plane.revocations.current.outBy(certificate) !== undefined
      if (peer === identity.current.peer || state === "left" || isOut === true) return []
      const seen = plane.membership.stateOf(peer)
      return [{ peer, name, certificate, isThere: seen === "alive" || seen === "suspect" }]
    })

  /** Keeps it, goes by it, and tells the mesh. */
  const say = (
    kind: RootBody["root"],
    make: (current: NodeIdentity) => Either.Either<Rotated, CertificateError>,
    { author, why }: { readonly author: string; readonly why?: string | undefined }
  ) =>
    Effect.gen(function* () {
      const before = identity.current
      const { identity: next, statement } = yield* make(before)
      // Nothing in between: a certificate may be renewed at any moment.
      identity.current = next
      yield* Effect.tapError(saveIdentity(dataDir, next), () =>
        Effect.sync(() => {
          if (identity.current === next) identity.current = before
        })
      )
      plane.rootsChanged()
      const body: RootBody = { root: kind, statement: Buffer.from(statement).toString("base64") }
      const name = rootSettingName(body)
      const { epoch, signer, version } = yield* plane.settings.write({
        ...{ kind: "trust", name, body: { ...body }, author, why }
      })
      yield* plane.certificateChanged
      return { key: settingKey({ kind: "trust", name, signer }), epoch, version }
    })

  /** This node's certificate must let it tell the mesh, before anything is done. */
  const mayTell = plane.settings.check({
    kind: "trust",
    name: `root.${"0".repeat(32)}`,
    body: { root: "added", statement: "AAAA" }
  })

  const answer = (wanted: WantedVersion, waitMs: number) =>
    waitMs === 0 ? Effect.succeed(null) : seenBy(plane, [wanted], waitMs)

  const rotate: RootSource["rotateRoot"] = ({ waitMs, ...asked }) =>
    Effect.gen(function* () {
      yield* mayTell
      const now = yield* Clock.currentTimeMillis
      const key = generateSigningKey()
      const replaces = identity.current.roots.newest.id
      // What cannot be is found out before there is a key on the disk.
      yield* rotateRoot(identity.current, key, now)
      const told = yield* Effect.uninterruptible(
        Effect.gen(function* () {
          yield* stageRootKey(dataDir, key)
          const wanted = yield* say("added", (current) => rotateRoot(current, key, now), asked)
          yield* settleRootKey(dataDir)
          return wanted
        })
      )
      const root = rootIdOf(key.publicKey.raw)
      return {
        ...{ root, replaces },
        rivals: identity.current.roots.rivalsOf(root).map(({ id }) => id),
        left: leftUnderOthers(identity.current, members(), root).map(({ name }) => name),
        seen: yield* answer(told, waitMs)
      }
    }).pipe(turns.withPermits(1), Effect.mapError(refused))

  /** Who of those that are there has not heard of the newest root, or of somebody's new certificate. */
  const unknownTo = Effect.suspend(() => {
    const catalogue = plane.catalogue.current()
    const ofRoots = Array.from(catalogue.settings()).filter(
      ({ setting: { kind, name } }) => kind === "trust" && name.startsWith("root.")
    )
    const wanted = [...catalogue.entries(), ...ofRoots].map(({ epoch, key, version }) => ({
      ...{ key, epoch, version }
    }))
    return plane.settingSpread(wanted, knownWithin)
  }).pipe(Effect.map(({ missing }) => missing.map((peer) => plane.nameOf(peer))))

  const finish: RootSource["finishRoot"] = ({ force, keep: asked, waitMs, ...told }) =>
    Effect.gen(function* () {
      yield* Effect.mapError(mayTell, refused)
      const { current } = identity
      const { isPossible, keep, notYet } = planFinish(current, members(), asked)
      const rivals = current.roots.rivalsOf(keep).map(({ id }) => id)
      // Among rivals every moment is the thief's, and everybody moves under the newest, whose ever that is.
      const unknown = notYet === undefined && rivals.length === 0 ? yield* unknownTo : []
      const why =
        notYet ??
        (unknown.length === 0
          ? undefined
          : `${unknown.join(", ")} did not hold everybody's newest record yet`)
      if (why !== undefined && (!force || !isPossible)) {
        return yield* new AdminConflict({
          code: "not_yet",
          message: `no root is withdrawn: ${why}`,
          hint: isPossible
            ? "Wait, and look at `skein root status`. With --force they are withdrawn all the same: who is left is cut off until a member with admit has signed for it anew."
            : "`skein root status` says what holds."
        })
      }
      const now = yield* Clock.currentTimeMillis
      const behind = leftUnderOthers(current, members(), keep)
      const marks = behind.flatMap(({ peer }) => {
        const certificate = plane.certificateOf(peer)
        return certificate === undefined ? [] : [memberMark(certificate)]
      })
      const settings = settingsUnderOthers(plane, current.roots, keep)
      // What a rival's members have set its holder may have set as well; a root's word stands by itself.
      const isDropped = ({ root, title }: SettingUnder) =>
        rivals.includes(root) && !title.startsWith("trust/root.")
      const dropped = settings.filter(isDropped)
      const kept = settings.flatMap((one) => (isDropped(one) ? [] : [one.mark]))
      const wanted = yield* Effect.mapError(
        Effect.uninterruptible(
          say("withdrawn", (own) => finishRotation(own, { stay: marks, kept }, now), told)
        ),
        refused
      )
      const after = identity.current.roots
      return {
        root: keep,
        withdrawn: current.roots.inForce.flatMap(({ id }) => (after.isInForce(id) ? [] : [id])),
        stay: behind.map(({ name }) => name),
        kept: kept.length,
        dropped: dropped.map(({ title }) => title),
        seen: yield* answer(wanted, waitMs)
      }
    }).pipe(turns.withPermits(1))

  const roots: RootSource["roots"] = Effect.sync(() => {
    const { current } = identity
    const { newest } = current.roots
    const all = members()
    const left = leftUnderOthers(current, all)
    const held = heldRoot(current)
    return {
      roots: current.roots.all.map(({ at, by, id, withdrawn }) => ({
        ...{ id, by: by ?? null, addedAt: by === undefined ? null : at },
        withdrawnAt: withdrawn?.at ?? null,
        isNewest: id === newest.id,
        hasKey: id === held,
        rivals: current.roots.isInForce(id) ? current.roots.rivalsOf(id).map((one) => one.id) : [],
        members:
          all.filter(({ certificate }) => certificate?.root === id).length +
          Number(current.certificate.root === id)
      })),
      hasKey: holdsNewestRoot(current),
      left: left.map(({ isThere, name, peer, root, why }) => ({
        ...{ node: name, peer, root: root ?? null, isThere, why }
      })),
      notYet: planFinish(current, all).notYet ?? null
    }
  })
  return { roots, rotateRoot: rotate, finishRoot: finish }
}

interface SettingUnder {
  /** KIND/NAME. */
  readonly title: string
  readonly mark: Uint8Array
  readonly root: RootId
}

/** Settings whose signers' certificates stood under a root that is about to be withdrawn. */
const settingsUnderOthers = (
  { catalogue }: Pick<MeshPlane, "catalogue">,
  roots: Roots,
  keep: RootId
): ReadonlyArray<SettingUnder> =>
  Array.from(catalogue.current().settings()).flatMap(({ bytes, setting }) => {
    const opened = openEnvelope(bytes, {
      ...{ roots, evenWithdrawn: true, now: setting.signedAt, kind: furtherKind },
      ...{ maxBytes: recordLimits.bytes, skew: Number.POSITIVE_INFINITY },
      expiredGrace: Number.POSITIVE_INFINITY
    })
    if (Either.isLeft(opened)) return []
    const { root } = opened.right.certificate
    const mark = settingMark(bytes)
    const isKept = root === keep || roots.restsOn(root, keep) || roots.keeps(mark)
    return isKept ? [] : [{ title: `${setting.kind}/${setting.name}`, mark, root }]
  })
