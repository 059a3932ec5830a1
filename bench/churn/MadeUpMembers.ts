/**
 * Members of a mesh that exist as signed records alone: keys, certificates and records are as real
 * as any, and no host stands behind them. They change what they offer as often as they are asked.
 */
import { Either } from "effect"
import { recordKind } from "../../src/mesh/catalogue/RecordDoor.ts"
import { ObserverRing } from "../../src/mesh/membership/ObserverRing.ts"
import { makeStatementDoor } from "../../src/mesh/membership/Statement.ts"
import { encodeCbor } from "../../src/mesh/trust/Cbor.ts"
import { sealEnvelope } from "../../src/mesh/trust/Envelope.ts"
import { enrol } from "../../src/mesh/trust/FoundMesh.ts"
import type { NodeIdentity } from "../../src/mesh/trust/NodeIdentity.ts"
import { generateSigningKey } from "../../src/mesh/trust/SigningKey.ts"
import { NodeName, type PeerKey, ServiceName } from "../../src/model/Names.ts"
import type { NodeRecord } from "../../src/model/NodeRecord.ts"

/** What the names of all of them begin with. */
export const madeUpName = "made-up-"

/** So many members offer one service. None of them offers the one that is measured. */
const perService = 10

export interface MadeUpMember {
  readonly identity: NodeIdentity
  /** Wall clock of its making, ms: all its records carry it. */
  readonly epoch: number
  readonly index: number
  /** Where it is reached; most are nowhere, and nobody calls them. */
  addresses: ReadonlyArray<string>
  /** Of its next record. */
  version: number
  /** What it last said of being alive; begins at the epoch. */
  incarnation: number
}

/** Let in by `founder`, which must be able to. Wall clock `now`, ms. */
export const makeUpMembers = (
  founder: NodeIdentity,
  count: number,
  now: number
): ReadonlyArray<MadeUpMember> =>
  Array.from({ length: count }, (_, index) => {
    const identity = Either.getOrThrow(
      enrol(founder, {
        privateKey: generateSigningKey(),
        name: NodeName.make(`${madeUpName}${index}`),
        grant: { services: [`${madeUpName}*`], capabilities: [] },
        now
      })
    )
    return { identity, epoch: now, index, addresses: [], version: 0, incarnation: now }
  })

/**
 * Those that one of `nodes` watches, and the others. Who does not answer its watcher is soon accused,
 * and if that is the end of it the next one on the ring is watched: unless the former answer, the mesh
 * buries its members one by one. They are to be told of first: whoever is nearest among all is so among any of them.
 */
export const byWatched = (
  nodes: ReadonlyArray<PeerKey>,
  members: ReadonlyArray<MadeUpMember>
): { readonly watched: Array<MadeUpMember>; readonly others: Array<MadeUpMember> } => {
  const ring = ObserverRing.of([...nodes, ...members.map(({ identity }) => identity.peer)])
  const subjects = new Set(nodes.flatMap((node) => ring.subjectsOf(node)))
  const isWatched = ({ identity }: MadeUpMember) => subjects.has(identity.peer)
  return {
    watched: members.filter(isWatched),
    others: members.filter((member) => !isWatched(member))
  }
}

/** "I live", signed, above the incarnation at which somebody accuses it. */
export const denialOf = (member: MadeUpMember, accused: number): Uint8Array => {
  member.incarnation = Math.max(member.incarnation, accused + 1)
  const door = makeStatementDoor({ current: member.identity })
  return door.seal({ kind: "alive", incarnation: member.incarnation })
}

/** Its next record, signed: the one before with another weight. Wall clock `now`, ms. */
export const nextRecord = (member: MadeUpMember, now: number): Uint8Array => {
  const { identity, epoch, index, addresses } = member
  const version = member.version++
  const record: NodeRecord = {
    peer: identity.peer,
    name: identity.name,
    addresses,
    epoch,
    version,
    signedAt: now,
    state: "serving",
    services: [
      {
        name: ServiceName.make(`${madeUpName}${Math.floor(index / perService)}`),
        protocol: "http",
        endpoints: [{ id: "0", healthy: true, draining: false, weight: 100 + (version % 2) }]
      }
    ],
    software: "bench"
  }
  return sealEnvelope(identity, recordKind, encodeCbor(record))
}

/** The next `count` changes, of one member after the other, beginning where `from` says. */
export const changesOf = (
  members: ReadonlyArray<MadeUpMember>,
  from: number,
  count: number,
  now: number
): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, (_, i) => nextRecord(members[(from + i) % members.length]!, now))
