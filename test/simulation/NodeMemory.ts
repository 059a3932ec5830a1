/** What one node keeps of a mesh in its memory, however many share a simulation: everything here is its own. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Catalogue } from "../../src/mesh/catalogue/Catalogue.ts"
import { makeOwnRecord } from "../../src/mesh/catalogue/OwnRecord.ts"
import { applyRecords } from "../../src/mesh/membership/MemberRecords.ts"
import { type MemberTable, makeMemberTable } from "../../src/mesh/membership/MemberTable.ts"
import { NodeName } from "../../src/model/Names.ts"
import { peerOf } from "../../src/testing/simulator/mod.ts"
import { Records } from "../../src/testing/simulator/Records.ts"

/** Megabytes. */
export interface NodeMemory {
  readonly nodes: number
  /** Records of 500 bytes as they were signed, and what was read of them. */
  readonly catalogue: number
  /** Beliefs, and who watches whom. */
  readonly membership: number
}

const collector = (): (() => void) => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect !== "function") throw new Error("V8 has no collector to call")
  return () => void collect()
}

const tableOf = (catalogue: Catalogue, wall: number): MemberTable => {
  const records = Array.from(catalogue.entries(), ({ record: { epoch, name, peer } }) => ({
    ...{ peer, name, epoch, left: false }
  }))
  return applyRecords(makeMemberTable(peerOf(0)), records, wall)
}

export const memoryOf = (nodes: number): NodeMemory => {
  const collect = collector()
  const used = (): number => {
    collect()
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return (heapUsed + arrayBuffers) / 2 ** 20
  }
  const wall = 1_800_000_000_000
  const peers = Array.from({ length: nodes }, (_, index) => peerOf(index))
  const made = used()
  let catalogue = Catalogue.empty
  const all = new Records(500, () => {
    throw new Error("nothing is told here")
  })
  for (const [index, peer] of peers.entries()) {
    const name = NodeName.make(`node-${index}`)
    const facts = { name, software: "0", addresses: [], services: [], state: "serving" } as const
    const own = makeOwnRecord(facts, wall)
    catalogue = catalogue.merge(
      all.seal({ ...facts, peer, epoch: own.epoch, version: 0, signedAt: wall })
    )[0]
  }
  // Every version that was ever told is noted for the invariants of a simulation: no node does that.
  all.told.clear()
  const known = used()
  const table = tableOf(catalogue, wall)
  const believed = used()
  if (table.members.size !== nodes - 1) throw new Error("somebody is missing")
  return { nodes, catalogue: known - made, membership: believed - known }
}
