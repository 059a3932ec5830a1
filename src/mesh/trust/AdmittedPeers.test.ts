import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { BoundedCache } from "./BoundedCache.ts"
import { foundMesh } from "./FoundMesh.ts"
import { renewSelf } from "./Renewal.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const identity = (n: number) =>
  Either.getOrThrow(
    foundMesh({
      rootKey: signingKeyFromSeed(new Uint8Array(32).fill(1)),
      privateKey: signingKeyFromSeed(new Uint8Array(32).fill(n)),
      meshName: "test",
      nodeName: NodeName.make(`node-${n}`),
      now
    })
  )
const a = identity(2)
const b = identity(3)
const renewed = Either.getOrThrow(renewSelf(a, now + 1_000)).certificate

describe("AdmittedPeers", () => {
  it("knows a peer while it has a connection", () => {
    const peers = new AdmittedPeers()
    const closeOne = peers.hold(a.certificate)
    const closeOther = peers.hold(a.certificate)
    closeOne()
    closeOne() // libp2p may tell twice
    expect(peers.get(a.peer)).toBe(a.certificate)
    closeOther()
    expect(peers.get(a.peer)).toBeUndefined()
    expect(peers.size).toBe(0)
  })

  it("keeps the certificate that lasts longest", () => {
    const peers = new AdmittedPeers()
    peers.hold(renewed)
    peers.hold(a.certificate)
    expect(peers.get(a.peer)).toBe(renewed)
    peers.refresh(b.certificate)
    expect(peers.certificates()).toEqual([renewed])

    const others = new AdmittedPeers()
    others.hold(a.certificate)
    expect(others.expired(a.certificate.notAfter + 1)).toEqual([a.certificate])
    others.refresh(renewed)
    expect(others.expired(a.certificate.notAfter + 1)).toEqual([])
  })

  it("has room for some connections of one peer, and not for any number", () => {
    const peers = new AdmittedPeers()
    const held = Array.from({ length: 16 }, () => peers.hold(a.certificate))
    expect(peers.hasRoomFor(a.peer)).toBe(false)
    expect(peers.hasRoomFor(b.peer)).toBe(true)
    held[0]?.()
    expect(peers.hasRoomFor(a.peer)).toBe(true)
  })

  it("has room up to its limit, and for peers it knows", () => {
    const peers = new AdmittedPeers(1)
    expect(peers.hasRoomFor(a.peer)).toBe(true)
    peers.hold(a.certificate)
    expect(peers.hasRoomFor(a.peer)).toBe(true)
    expect(peers.hasRoomFor(b.peer)).toBe(false)
  })
})

describe("BoundedCache", () => {
  it("drops what was unused for longest", () => {
    const cache = new BoundedCache<number>(2)
    cache.set("a", 1)
    cache.set("b", 2)
    expect(cache.get("a")).toBe(1)
    cache.set("c", 3)
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3])
    cache.set("c", 4)
    expect(cache.size).toBe(2)
    // Looking is not using.
    expect(cache.peek("a")).toBe(1)
    cache.set("d", 5)
    expect([cache.peek("a"), cache.peek("c"), cache.peek("d")]).toEqual([undefined, 4, 5])
  })
})
