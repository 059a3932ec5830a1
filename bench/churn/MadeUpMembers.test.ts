import { Either } from "effect"
import { describe, expect, test } from "vitest"
import { makeRecordDoor } from "../../src/mesh/catalogue/RecordDoor.ts"
import { ObserverRing } from "../../src/mesh/membership/ObserverRing.ts"
import { makeStatementDoor } from "../../src/mesh/membership/Statement.ts"
import { makeMembers } from "../../test/fixtures/Members.ts"
import {
  byWatched,
  changesOf,
  denialOf,
  type MadeUpMember,
  makeUpMembers
} from "./MadeUpMembers.ts"

const now = 1_800_000_000_000
const [founder, other] = makeMembers(2, now)
if (founder === undefined || other === undefined) throw new Error("there are two members")
const nodes = [founder.peer, other.peer]

const admit = (bytes: Uint8Array) => {
  const entry = Either.getOrThrow(makeRecordDoor({ current: other }).admit(bytes, now))
  if (entry.kind !== "node") throw new Error(`${entry.key} is no node's record`)
  return entry.record
}

const peerOf = ({ identity }: MadeUpMember) => identity.peer

describe("made-up members", () => {
  test("their records are let in by whoever belongs to the mesh", () => {
    const members = makeUpMembers(founder, 3, now)
    for (const bytes of changesOf(members, 0, 3, now)) {
      const { name, version, services } = admit(bytes)
      expect(name).toMatch(/^made-up-[012]$/)
      expect(version).toBe(0)
      // Services that a certificate does not grant are left out.
      expect(services.map((service) => service.name)).toEqual(["made-up-0"])
    }
  })

  test("take turns, and no change repeats what the one before has said", () => {
    const members = makeUpMembers(founder, 2, now)
    const records = [...changesOf(members, 0, 3, now), ...changesOf(members, 3, 2, now)].map(admit)
    expect(records.map(({ name, version }) => `${name} ${version}`)).toEqual([
      "made-up-0 0",
      "made-up-1 0",
      "made-up-0 1",
      "made-up-1 1",
      "made-up-0 2"
    ])
    const weights = records.map(({ services }) => services[0]?.endpoints[0]?.weight)
    expect(weights).toEqual([100, 100, 101, 101, 100])
  })

  test("deny what they are accused of, above the accusation", () => {
    const [member] = makeUpMembers(founder, 1, now)
    if (member === undefined) throw new Error("there is one")
    const door = makeStatementDoor({ current: other })
    const deny = (accused: number) => Either.getOrThrow(door.admit(denialOf(member, accused), now))
    expect(deny(now)).toEqual({ kind: "alive", subject: peerOf(member), incarnation: now + 1 })
    // Heard once more, late: it does not take back what it said since.
    expect(deny(now - 5)).toMatchObject({ incarnation: now + 1 })
  })

  test("those that the nodes watch are few, and stay the same whoever else is known", () => {
    const members = makeUpMembers(founder, 60, now)
    const { watched, others } = byWatched(nodes, members)
    expect(watched.length).toBeGreaterThan(0)
    expect(watched.length).toBeLessThanOrEqual(16)
    expect([...watched, ...others].map(peerOf).sort()).toEqual(members.map(peerOf).sort())
    const known = new Set([...nodes, ...watched.map(peerOf)])
    for (const member of others) {
      known.add(peerOf(member))
      const ring = ObserverRing.of(known)
      for (const subject of nodes.flatMap((node) => ring.subjectsOf(node))) {
        expect([...nodes, ...watched.map(peerOf)]).toContain(subject)
      }
    }
  })
})
