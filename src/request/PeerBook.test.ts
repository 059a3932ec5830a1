import { describe, expect, it } from "vitest"
import { NodeName } from "../model/Names.ts"
import { alice, bob } from "../testing/LinkTestPair.ts"
import { PeerBook } from "./PeerBook.ts"

const make = () => new PeerBook({ peer: alice, node: "host-a" })
const addresses = ["/ip4/10.0.0.2/tcp/4001"]

describe("what a request thread knows of a node", () => {
  it("its own name, always", () => {
    const book = make()
    expect(book.nameOf(alice)).toBe("host-a")
    book.put({ peer: alice, name: "another", addresses })
    expect(book.nameOf(alice)).toBe("host-a")
  })

  it("its key while nothing is known, then what its certificate says, then its record", () => {
    const book = make()
    expect(book.nameOf(bob)).toBe(bob)
    expect(book.addressesOf(bob)).toEqual([])
    book.prove(bob, NodeName.make("by-certificate"))
    expect(book.nameOf(bob)).toBe("by-certificate")
    expect(book.addressesOf(bob)).toEqual([])
    book.put({ peer: bob, name: "by-record", addresses })
    expect(book.nameOf(bob)).toBe("by-record")
    expect(book.addressesOf(bob)).toEqual(addresses)
    book.prove(bob, NodeName.make("by-certificate"))
    expect(book.nameOf(bob)).toBe("by-record")
  })

  it("the latest record", () => {
    const book = make()
    book.put({ peer: bob, name: "before", addresses })
    book.put({ peer: bob, name: "after", addresses: [] })
    expect([book.nameOf(bob), book.addressesOf(bob)]).toEqual(["after", []])
  })

  it("whether a record has an address that the one before had not", () => {
    const book = make()
    const other = ["/ip4/10.0.0.2/tcp/4002"]
    const puts = [addresses, addresses, [...addresses, ...other], other, addresses, []]
    expect(puts.map((all) => book.put({ peer: bob, name: "host-b", addresses: all }))).toEqual([
      ...[true, false, true, false, true, false]
    ])
  })

  it("nothing any more once it is forgotten", () => {
    const book = make()
    book.put({ peer: bob, name: "host-b", addresses })
    book.forget(bob)
    book.prove(bob, NodeName.make("by-certificate"))
    book.forget(bob)
    expect([book.nameOf(bob), book.addressesOf(bob)]).toEqual([bob, []])
  })
})
