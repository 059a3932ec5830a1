import { describe, expect, it } from "vitest"
import { NodeName, type PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import { alice, bob } from "../testing/LinkTestPair.ts"
import { freshSecret } from "../testing/SessionHosts.ts"
import { SessionNeeds } from "./SessionNeeds.ts"

const sessionWith = (peer: PeerKey): Session => ({
  ...freshSecret(),
  peer,
  peerName: NodeName.make("host"),
  until: 1,
  facts: { services: [], speaks: [] }
})

const make = () => {
  const asked: Array<PeerKey> = []
  return { asked, needs: new SessionNeeds((peer) => asked.push(peer)) }
}

const never = new AbortController().signal

describe("a session that is waited for", () => {
  it("is asked for once, and comes to all who wait for that peer", async () => {
    const { asked, needs } = make()
    const waiting = [needs.need(bob, never), needs.need(bob, never)]
    const other = needs.need(alice, never)
    expect(asked).toEqual([bob, alice])
    const [ofBob, ofAlice] = [sessionWith(bob), sessionWith(alice)]
    needs.have(ofBob)
    expect(await Promise.all(waiting)).toEqual([ofBob, ofBob])
    needs.have(ofAlice)
    expect(await other).toBe(ofAlice)
  })

  it("is asked for again by who comes later", async () => {
    const { asked, needs } = make()
    const first = needs.need(bob, never)
    needs.have(sessionWith(bob))
    await first
    const second = needs.need(bob, never)
    expect(asked).toEqual([bob, bob])
    const next = sessionWith(bob)
    needs.have(next)
    expect(await second).toBe(next)
  })

  it("is not to be had: all are told why, and the next one asks", async () => {
    const { asked, needs } = make()
    const waiting = [needs.need(bob, never), needs.need(bob, never)]
    needs.none(bob, "it does not answer")
    for (const one of waiting) {
      await expect(one).rejects.toThrow("no session with the node: it does not answer")
    }
    needs.need(bob, never).catch(() => undefined)
    expect(asked).toEqual([bob, bob])
  })

  it("is not waited for by who gave up; the others go on waiting, without asking anew", async () => {
    const { asked, needs } = make()
    const giving = new AbortController()
    const gone = needs.need(bob, giving.signal)
    const stays = needs.need(bob, never)
    giving.abort(new Error("the call is over"))
    await expect(gone).rejects.toThrow("the call is over")
    expect(asked).toEqual([bob])
    const session = sessionWith(bob)
    needs.have(session)
    expect(await stays).toBe(session)
  })

  it("is asked for anew after all gave up, and not at all for who had given up before", async () => {
    const { asked, needs } = make()
    const giving = new AbortController()
    const gone = needs.need(bob, giving.signal)
    giving.abort(new Error("over"))
    await expect(gone).rejects.toThrow("over")
    await expect(needs.need(bob, AbortSignal.abort(new Error("too late")))).rejects.toThrow(
      "too late"
    )
    expect(asked).toEqual([bob])
    needs.need(bob, never).catch(() => undefined)
    expect(asked).toEqual([bob, bob])
  })

  it("concerns nobody when nobody waits", () => {
    const { asked, needs } = make()
    needs.have(sessionWith(bob))
    needs.none(bob, "whatever")
    expect(asked).toEqual([])
  })
})
