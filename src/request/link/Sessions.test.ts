import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import { hostCaller } from "../../model/Caller.ts"
import { NodeName, PeerKey } from "../../model/Names.ts"
import type { Session } from "../../model/Session.ts"
import { type SessionLimits, Sessions } from "./Sessions.ts"

const peerOf = (letter: string): PeerKey => PeerKey.make(`12D3KooW${letter.repeat(44)}`)
const bob = peerOf("B")
const hour = 3_600_000

/** A clock in the test's hand, and what is made by it. */
const make = (limits: Partial<SessionLimits> = {}) => {
  const clock = { wall: 1_700_000_000_000 }
  const sut = new Sessions(() => clock.wall, limits)
  const session = (peer: PeerKey = bob, until = clock.wall + hour): Session => ({
    id: randomBytes(16).toString("hex"),
    secret: randomBytes(32),
    peer,
    peerName: NodeName.make("host-b"),
    until,
    facts: { services: [], speaks: [] }
  })
  const put = (peer: PeerKey = bob, until = clock.wall + hour): Session => {
    const it = session(peer, until)
    expect(sut.put(it)).toBe(true)
    return it
  }
  return { clock, sut, session, put }
}

/** What a link was told. */
class Link {
  ended: string | undefined = undefined
  readonly release: (() => void) | undefined

  constructor(sessions: Sessions, session: Session) {
    this.release = sessions.hold(session, this)
  }

  abort(cause: Error): void {
    if (this.ended !== undefined) throw new Error("ended twice")
    this.ended = cause.message
    this.release?.()
  }
}

describe("sessions", () => {
  it("tell as what a peer speaks and for whom, by the newest, as long as there is any or a link", () => {
    const { sut, put, session } = make()
    expect([sut.hostOf(bob), sut.factsOf(bob)]).toEqual([undefined, undefined])
    const first = put()
    const link = new Link(sut, first)
    const host = sut.hostOf(bob)
    expect(host).toEqual(hostCaller(NodeName.make("host-b")))
    put()
    expect(sut.hostOf(bob)).toBe(host)
    const facts = { services: ["orders"], speaks: ["web"] }
    sut.put({ ...session(), peerName: NodeName.make("host-c"), facts })
    expect(sut.hostOf(bob)?.name).toBe("host-c")
    expect(sut.factsOf(bob)).toBe(facts)
    sut.endPeer(bob, "it has left")
    expect(link.ended).toMatch(/it has left/)
    expect([sut.hostOf(bob), sut.factsOf(bob)]).toEqual([undefined, undefined])
  })

  it("are found by id to accept, and by peer to dial: the newest", () => {
    const { sut, put, session } = make()
    const [first, second, other] = [put(), put(), put(peerOf("C"))]
    expect(sut.newest(bob)).toBe(second)
    expect(sut.newest(peerOf("C"))).toBe(other)
    expect(sut.newest(peerOf("D"))).toBeUndefined()
    for (const it of [first, second, other]) expect(sut.find(it.id)).toBe(it)
    expect(sut.find(session().id)).toBe("unknown_session")
  })

  it("are over when this host's clock says so, whatever the peer's", () => {
    const { sut, clock, put } = make()
    const it = put(bob, clock.wall + 1_000)
    clock.wall += 999
    expect(sut.find(it.id)).toBe(it)
    expect(sut.newest(bob)).toBe(it)
    clock.wall += 1
    expect(sut.find(it.id)).toBe("session_ended")
    expect(sut.newest(bob)).toBeUndefined()
  })

  it("stay over, and are remembered so, when a newer one takes their place", () => {
    const { sut, clock, put } = make()
    const old = put(bob, clock.wall + 1_000)
    clock.wall += 1_000
    put()
    expect(sut.find(old.id)).toBe("session_ended")
    expect(sut.size).toBe(1)
  })

  it("end with their links, at once, and those of others stay", () => {
    const { sut, put } = make()
    const [one, two, other] = [put(), put(), put(peerOf("C"))]
    const links = [one, two, other, one].map((session) => new Link(sut, session))
    sut.end(one.id, "its certificate was revoked")
    const told = "the session with host-b was ended: its certificate was revoked"
    expect(links.map(({ ended }) => ended)).toEqual([told, undefined, undefined, told])
    expect(sut.find(one.id)).toBe("session_ended")
    expect(sut.newest(bob)).toBe(two)
    sut.endPeer(bob, "it has left the mesh")
    expect(links[1]!.ended).toBe("the session with host-b was ended: it has left the mesh")
    expect(links[2]!.ended).toBeUndefined()
    expect(sut.newest(bob)).toBeUndefined()
    expect(sut.find(two.id)).toBe("session_ended")
  })

  it("that were ended stay so, also for who comes late or was just shaking hands", () => {
    const { sut, put, session } = make()
    const it = put()
    sut.end(it.id, "revoked")
    expect(sut.put(it)).toBe(false)
    expect(new Link(sut, it).release).toBeUndefined()
    const unheard = session()
    sut.end(unheard.id, "revoked")
    expect(sut.put(unheard)).toBe(false)
    expect(sut.find(unheard.id)).toBe("session_ended")
  })

  it("that are newer leave the links of older ones alone, and those are accepted for their time", () => {
    const { sut, clock, put } = make()
    const old = put(bob, clock.wall + 1_000)
    const link = new Link(sut, old)
    const renewed = put()
    expect(sut.newest(bob)).toBe(renewed)
    expect(sut.find(old.id)).toBe(old)
    clock.wall += 1_000
    expect(sut.find(old.id)).toBe("session_ended")
    expect(link.ended).toBeUndefined()
  })

  it("are dialled with for their time, also where a newer one has less of it", () => {
    const { sut, clock, put } = make()
    const long = put()
    put(bob, clock.wall + 1_000)
    clock.wall += 1_000
    expect(sut.newest(bob)).toBe(long)
  })

  it("that no handshake could be made with are a bug, and said so at once", () => {
    const { sut, session } = make()
    for (const wrong of [{ secret: randomBytes(31) }, { id: "00" }, { id: "G".repeat(32) }]) {
      expect(() => sut.put({ ...session(), ...wrong })).toThrow(RangeError)
    }
  })

  it("may be put twice, and are one", () => {
    const { sut, put } = make()
    const it = put()
    expect(sut.put({ ...it })).toBe(true)
    expect(sut.size).toBe(1)
  })

  it("break their links without ending, so that new ones may follow", () => {
    const { sut, put } = make()
    const it = put()
    const [link, other] = [new Link(sut, it), new Link(sut, put(peerOf("C")))]
    sut.breakLinks(bob, new Error("silent"))
    expect([link.ended, other.ended]).toEqual(["silent", undefined])
    expect(sut.find(it.id)).toBe(it)
    expect(new Link(sut, it).release).toBeDefined()
  })

  it("of a peer have a limit: the oldest is forgotten, but its links still end with it", () => {
    const { sut, put } = make({ perPeer: 2 })
    const oldest = put()
    const links = [new Link(sut, oldest), new Link(sut, oldest)]
    put()
    put()
    expect(sut.size).toBe(2)
    expect(sut.find(oldest.id)).toBe("unknown_session")
    links[0]!.release?.()
    sut.end(oldest.id, "revoked")
    expect(links.map(({ ended }) => ended)).toEqual([
      undefined,
      "the session with host-b was ended: revoked"
    ])
    sut.endPeer(bob, "gone")
    expect(sut.size).toBe(0)
  })

  it("have a limit of peers: who has no links makes room, and without such none is taken", () => {
    const { sut, put, session } = make({ peers: 2 })
    const kept = put(peerOf("C"))
    const link = new Link(sut, kept)
    const idle = put(peerOf("D"))
    const third = put(peerOf("E"))
    expect(sut.find(idle.id)).toBe("unknown_session")
    expect(sut.find(kept.id)).toBe(kept)
    const another = new Link(sut, third)
    expect(sut.put(session(peerOf("F")))).toBe(false)
    another.release?.()
    expect(sut.put(session(peerOf("F")))).toBe(true)
    expect(link.ended).toBeUndefined()
  })

  it("remember so many that were ended", () => {
    const { sut, put } = make({ ended: 2 })
    const ended = [put(), put(), put()]
    for (const { id } of ended) sut.end(id, "revoked")
    expect(ended.map(({ id }) => sut.find(id))).toEqual([
      "unknown_session",
      "session_ended",
      "session_ended"
    ])
  })

  it("know ephemeral keys again, so many of each session", () => {
    const { sut, put } = make({ ephemerals: 3 })
    const [one, two] = [put(), put()]
    const keys = Array.from({ length: 4 }, () => randomBytes(32))
    expect(keys.map((key) => sut.isFresh(one.id, key))).toEqual([true, true, true, true])
    expect(keys.slice(1).map((key) => sut.isFresh(one.id, key))).toEqual([false, false, false])
    expect(sut.isFresh(two.id, keys[3]!)).toBe(true)
    // The oldest has made room.
    expect(sut.isFresh(one.id, keys[0]!)).toBe(true)
  })
})
