import { describe, expect, it } from "vitest"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import { PeerNames } from "./PeerNames.ts"

const self = PeerKey.make(`12D3KooWNode${"A".repeat(10)}`)
const peer = PeerKey.make(`12D3KooWPeer${"A".repeat(10)}`)

const named = (name: string, version: number) =>
  nodeEntry(
    {
      peer,
      name: NodeName.make(name),
      addresses: [],
      epoch: 1,
      version,
      signedAt: 0,
      state: "serving",
      services: [],
      software: ""
    },
    [],
    Buffer.from(name)
  )

describe("PeerNames", () => {
  it("takes the record's name, and its new one once the record has changed", () => {
    let catalogue = Catalogue.empty.merge(named("host-b", 1))[0]
    const names = new PeerNames({
      self,
      ownName: () => "host-a",
      catalogue: () => catalogue,
      admitted: () => undefined
    })
    expect(names.of(peer)).toBe("host-b")
    expect(names.of(peer)).toBe("host-b")
    const before = catalogue
    catalogue = catalogue.merge(named("host-c", 2))[0]
    names.follow(catalogue.changesSince(before))
    expect(names.of(peer)).toBe("host-c")
    expect(names.of(self)).toBe("host-a")
  })

  it("keeps a name while the records of others change", () => {
    let looks = 0
    let catalogue = Catalogue.empty.merge(named("host-b", 1))[0]
    const names = new PeerNames({
      self,
      ownName: () => "host-a",
      catalogue: () => {
        looks++
        return catalogue
      },
      admitted: () => undefined
    })
    expect(names.of(peer)).toBe("host-b")
    const before = catalogue
    const other = named("host-c", 1)
    const record = { ...other.record, peer: PeerKey.make(`12D3KooWThird${"A".repeat(9)}`) }
    catalogue = catalogue.merge(nodeEntry(record, [], other.bytes))[0]
    names.follow(catalogue.changesSince(before))
    expect(names.of(peer)).toBe("host-b")
    expect(looks).toBe(1)
  })

  it("takes the certificate's name without a record, and the key without either", () => {
    let catalogue = Catalogue.empty
    let certified: string | undefined
    const names = new PeerNames({
      self,
      ownName: () => "host-a",
      catalogue: () => catalogue,
      admitted: () => certified
    })
    expect(names.of(peer)).toBe(peer)
    certified = "certified"
    expect(names.of(peer)).toBe("certified")
    catalogue = catalogue.merge(named("host-b", 1))[0]
    expect(names.of(peer)).toBe("host-b")
  })
})
