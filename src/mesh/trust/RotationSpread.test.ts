/**
 * Rotations spread through a mesh in memory: members meet in any order, each by the decisions of the real
 * handshake, while roots are added and withdrawn; some meet nobody for long.
 */
import { Either } from "effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { judgeMember } from "./AdmissionJudge.ts"
import { ChainCache } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import { everything, type Grant } from "./Grant.ts"
import { hearOfRoots, type IdentityCell, makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptIssued } from "./Renewal.ts"
import { Revocations } from "./Revocations.ts"
import { finishRotation, rotateRoot } from "./RootRotation.ts"
import { memberMark } from "./RootStatement.ts"
import { maxInForce } from "./Roots.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const plain: Grant = { services: ["web"], capabilities: [] }
const cache = new ChainCache()

const founder = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(50), meshName: "test", now },
    nodeName: NodeName.make("keeper")
  })
)
const enrolled = (by: NodeIdentity, n: number, grant: Grant) =>
  right(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))

/** The first holds the root's key; two may sign, and three rest on those. */
const makeMesh = (): ReadonlyArray<IdentityCell> => {
  const [one, two] = [enrolled(founder, 51, everything), enrolled(founder, 52, everything)]
  const others = [enrolled(one, 53, plain), enrolled(two, 54, plain), enrolled(two, 55, everything)]
  return [founder, one, two, ...others].map((current) => ({ current }))
}

type Met = "in" | "refused"

const judge = (who: NodeIdentity, by: IdentityCell) =>
  judgeMember(who.chain, who.peer, {
    ...{ identity: by.current, now, cache, revocations: Revocations.none },
    isNameTaken: () => false
  })

/** As Admission does: what is held of roots first, then each judges the other, the dialler's chain first. */
const meet = (dialler: IdentityCell, listener: IdentityCell, tells = true): Met => {
  const shown = dialler.current
  if (tells) {
    const told = listener.current.roots.log
    hearOfRoots(listener, dialler.current.roots.log)
    hearOfRoots(dialler, told)
  }
  const first = judge(shown, listener)
  if (Either.isLeft(first)) return "refused"
  const second = judge(listener.current, dialler)
  if (Either.isLeft(second)) return "refused"
  for (const [cell, issued] of [
    [dialler, first.right.issued],
    [listener, second.right.issued]
  ] as const) {
    if (issued === undefined) continue
    cell.current = right(acceptIssued(cell.current, issued, now)) ?? cell.current
  }
  return "in"
}

const isBehind = ({ current }: IdentityCell) => !current.roots.isInForce(current.certificate.root)

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("meet" as const),
      a: fc.nat(5),
      b: fc.nat(5),
      tells: fc.boolean()
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rotate" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("finish" as const) }) }
)

it("whoever meets whom when: no rightful one is turned away for good, and all end under one root", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const cells = makeMesh()
      const [keeper] = cells as [IdentityCell, ...Array<IdentityCell>]
      let rotations = 0
      let isFinished = false
      for (const one of steps) {
        const { roots } = keeper.current
        if (one.do === "rotate") {
          if (roots.inForce.length === maxInForce) continue
          keeper.current = right(
            rotateRoot(keeper.current, key(2 + rotations), now + rotations)
          ).identity
          rotations++
        } else if (one.do === "finish") {
          if (!roots.isRotating) continue
          // As the records of all members say.
          const left = cells.filter(({ current }) => current.certificate.root !== roots.newest.id)
          const stay = left.map(({ current }) => memberMark(current.certificate))
          keeper.current = right(finishRotation(keeper.current, { stay, kept: [] }, now)).identity
          isFinished = true
        } else {
          const [a, b] = [cells[one.a]!, cells[one.b]!]
          if (a === b) continue
          // Until a root is withdrawn those who tell nothing of roots are believed as well.
          const met = meet(a, b, one.tells || isFinished)
          if (met === "in") continue
          expect(isFinished).toBe(true)
          // Nobody there could sign: one of them is behind, and the other holds no right that counts.
          const able = [a, b].filter(({ current }) => current.authority !== undefined)
          expect(able.every(isBehind) || able.length === 0).toBe(true)
        }
      }
      for (const cell of [...cells, ...cells])
        if (cell !== keeper) expect(meet(cell, keeper)).toBe("in")
      for (const a of cells) {
        expect(a.current.roots.digest()).toEqual(keeper.current.roots.digest())
        expect(a.current.certificate.root).toBe(keeper.current.roots.newest.id)
        expect(a.current.mesh).toBe(founder.mesh)
        for (const b of cells) if (a !== b) expect(meet(a, b)).toBe("in")
      }
      // Who holds the first root's key lets nobody in any more, once that is withdrawn.
      const forged = enrolled(founder, 60, everything)
      const isOver = !keeper.current.roots.isInForce(founder.certificate.root)
      for (const cell of cells) expect(Either.isLeft(judge(forged, cell))).toBe(isOver)
    }),
    { numRuns: 60 }
  )
}, 60_000)

it("of two successors of one root the one that its holder keeps is all there is, whoever moved where before", () => {
  const meetings = fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { maxLength: 30 })
  fc.assert(
    fc.property(meetings, meetings, fc.boolean(), fc.boolean(), (before, after, twice, late) => {
      const cells = makeMesh()
      const [keeper] = cells as [IdentityCell, ...Array<IdentityCell>]
      // It was a member, and has the root's key from the keeper's disk.
      const thief: IdentityCell = {
        current: right(makeIdentity({ ...enrolled(founder, 70, everything), rootKey: key(1) }))
      }
      const all = [...cells, thief]
      const rotates = (cell: IdentityCell, n: number) => {
        cell.current = right(rotateRoot(cell.current, key(n), now + n)).identity
      }
      if (late) rotates(keeper, 2)
      rotates(thief, 3)
      // A successor's successor is newer than any other of the first root, whenever that was made.
      if (twice) rotates(thief, 4)
      for (const [a, b] of before) if (a !== b) expect(meet(all[a]!, all[b]!)).toBe("in")
      if (!late) rotates(keeper, 5)
      const mine = keeper.current.certificate.root
      expect(keeper.current.authority).toMatchObject({ root: mine, depth: 0 })
      // Whoever it meets, it does not move to the other's.
      for (const [a, b] of after) if (a !== b) expect(meet(all[a]!, all[b]!)).toBe("in")
      expect(meet(keeper, thief)).toBe("in")
      expect(keeper.current.certificate.root).toBe(mine)

      const { roots } = keeper.current
      const left = cells.filter(({ current }) => !roots.restsOn(current.certificate.root, mine))
      const stay = left.map(({ current }) => memberMark(current.certificate))
      keeper.current = right(finishRotation(keeper.current, { stay, kept: [] }, now)).identity
      expect(keeper.current.roots.inForce.map(({ id }) => id)).toEqual([mine])
      for (const cell of [...cells, ...cells])
        if (cell !== keeper) expect(meet(cell, keeper)).toBe("in")
      for (const a of cells) {
        expect(a.current.certificate.root).toBe(mine)
        expect(meet(thief, a)).toBe("refused")
        for (const b of cells) if (a !== b) expect(meet(a, b)).toBe("in")
      }
      expect(thief.current.rootKey).toBeUndefined()
    }),
    { numRuns: 30 }
  )
}, 60_000)
