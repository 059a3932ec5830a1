import { describe, expect, it } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { maxCompared, SyncBook } from "./SyncBook.ts"

const peer = (n: number) => PeerKey.make(`12D3KooWPeerPeerPeer${String(n).replaceAll("0", "x")}`)

describe("the book of comparisons", () => {
  it("knows when a catalogue was last compared, and when it was last equal", () => {
    const book = new SyncBook()
    expect([book.of(peer(1)), book.equalAt]).toEqual([undefined, undefined])
    book.note(peer(1), false, 10)
    expect([book.of(peer(1)), book.equalAt]).toEqual([{ at: 10, equalAt: undefined }, undefined])
    book.note(peer(1), true, 20)
    book.note(peer(1), false, 30)
    expect(book.of(peer(1))).toEqual({ at: 30, equalAt: 20 })
    book.note(peer(2), false, 40)
    expect(book.equalAt).toBe(20)
  })

  it("forgets whom it was not compared with for longest", () => {
    const book = new SyncBook()
    for (let n = 0; n < maxCompared; n++) book.note(peer(n), true, n)
    book.note(peer(0), true, maxCompared)
    book.note(peer(maxCompared), true, maxCompared + 1)
    expect(book.of(peer(1))).toBeUndefined()
    expect(book.of(peer(0))).toEqual({ at: maxCompared, equalAt: maxCompared })
    expect(book.of(peer(maxCompared))).toBeDefined()
  })
})
