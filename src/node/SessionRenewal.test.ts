import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, TestClock } from "effect"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { SessionBook, sessionRenewal } from "../mesh/trust/SessionBook.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import { freshSecret } from "../testing/SessionHosts.ts"
import { SessionRenewal } from "./SessionRenewal.ts"

const keys = makeMembers(3, 0)
  .map(({ peer }) => peer)
  .toSorted()
const [first, self, last] = [keys[0]!, keys[1]!, keys[2]!]

const certificateOf = (peer: PeerKey): VerifiedCertificate =>
  // What a book reads of one.
  ({ peer, name: `host-${keys.indexOf(peer)}`, services: ["*"], notAfter: 1e9 }) as never

/** One node's renewal; the others answer by hand. */
class Side {
  readonly self: PeerKey
  now = 0
  readonly sessions: Array<Session> = []
  readonly asked: Array<PeerKey> = []
  readonly connected = new Set<PeerKey>()
  readonly used: Array<PeerKey> = []
  readonly admitted = new Map<PeerKey, VerifiedCertificate>()
  connect: (peer: PeerKey) => Promise<void> = () => Promise.reject(new Error("no route"))
  answer: (
    peer: PeerKey,
    secret: Uint8Array
  ) => Effect.Effect<{ secret: Uint8Array }, MeshRpcError> = (_, secret) =>
    Effect.succeed({ secret })
  readonly book: SessionBook
  readonly renewal: SessionRenewal

  constructor(self: PeerKey) {
    this.self = self
    this.book = new SessionBook({
      now: () => this.now,
      onSession: (session) => this.sessions.push(session),
      onEnd: () => undefined
    })
    this.renewal = new SessionRenewal({
      self,
      admitted: { get: (peer) => this.admitted.get(peer) },
      book: this.book,
      clients: {
        // Only this question is ever asked here.
        client: (peer) =>
          Effect.succeed({
            NewSession: ({ secret }: { readonly secret: Uint8Array }) =>
              Effect.suspend(() => {
                this.asked.push(peer)
                return this.answer(peer, secret)
              })
          } as Partial<MeshRpcClient> as MeshRpcClient)
      },
      keeper: {
        connect: (peer) => this.connect(peer),
        connectedPeers: () => [...this.connected],
        isUp: (peer) => this.connected.has(peer),
        use: (peer) => this.used.push(peer)
      }
    })
  }

  meets(peer: PeerKey): this {
    this.connected.add(peer)
    this.admitted.set(peer, certificateOf(peer))
    this.book.made(certificateOf(peer), freshSecret())
    this.sessions.length = 0
    return this
  }
}

describe("a session is replaced", () => {
  it.scoped("when it is due, by the one of both whose key sorts first", () =>
    Effect.gen(function* () {
      const side = new Side(self).meets(first).meets(last)
      yield* side.renewal.keep
      yield* TestClock.adjust("5 minutes")
      expect(side.asked).toEqual([])
      side.now = sessionRenewal
      yield* TestClock.adjust("1 minute")
      expect(side.asked).toEqual([last])
      expect(side.sessions.map(({ peer }) => peer)).toEqual([last])
      yield* TestClock.adjust("5 minutes")
      expect(side.asked).toHaveLength(1)
    })
  )

  it.effect("by a handshake when links are in use and there is no connection any more", () =>
    Effect.gen(function* () {
      const side = new Side(self).meets(first).meets(last)
      side.connected.clear()
      const dialled: Array<PeerKey> = []
      side.connect = (peer) => {
        dialled.push(peer)
        return Promise.reject(new Error("no route"))
      }
      yield* side.renewal.used([first, last])
      expect([side.used, dialled]).toEqual([[first, last], []])
      side.now = sessionRenewal
      yield* side.renewal.used([first, last])
      // By the one of both whose key sorts first; that it failed is nobody's business here.
      expect([dialled, side.asked]).toEqual([[last], []])
    })
  )

  it.scoped("a minute later when the question failed, whatever became of others", () =>
    Effect.gen(function* () {
      const side = new Side(first).meets(self).meets(last)
      side.answer = (peer, secret) =>
        peer === self && side.asked.length < 3
          ? new MeshRpcError({ code: "unavailable", message: "busy" })
          : Effect.succeed({ secret })
      yield* side.renewal.keep
      side.now = sessionRenewal
      yield* TestClock.adjust("1 minute")
      expect(side.sessions.map(({ peer }) => peer)).toEqual([last])
      yield* TestClock.adjust("1 minute")
      expect(side.sessions.map(({ peer }) => peer)).toEqual([last, self])
    })
  )

  it.scoped("also after something broke that should not", () =>
    Effect.gen(function* () {
      const side = new Side(first).meets(last)
      side.answer = () => Effect.die("a bug")
      yield* side.renewal.keep
      side.now = sessionRenewal
      yield* TestClock.adjust("1 minute")
      side.answer = (_, secret) => Effect.succeed({ secret })
      yield* TestClock.adjust("1 minute")
      expect(side.sessions.map(({ peer }) => peer)).toEqual([last])
    })
  )

  it.scoped("not with those who are not connected: the handshake makes one", () =>
    Effect.gen(function* () {
      const side = new Side(first).meets(last)
      side.connected.clear()
      yield* side.renewal.keep
      side.now = sessionRenewal
      yield* TestClock.adjust("10 minutes")
      expect(side.asked).toEqual([])
    })
  )

  it.effect("with everybody when this node's certificate is new, whoever sorts first", () =>
    Effect.gen(function* () {
      const side = new Side(self).meets(first).meets(last)
      side.answer = (peer, secret) =>
        peer === first
          ? new MeshRpcError({ code: "unavailable", message: "busy" })
          : Effect.succeed({ secret })
      yield* side.renewal.renewAll
      expect(side.asked.toSorted()).toEqual([first, last])
      expect(side.sessions.map(({ peer }) => peer)).toEqual([last])
    })
  )
})

describe("two nodes", () => {
  const joined = () => {
    const [asks, answers] = [new Side(self).meets(last), new Side(last).meets(self)]
    asks.answer = (_, secret) => answers.renewal.answer(self, secret)
    return { asks, answers }
  }

  it.effect("agree on the same one, each with what the other's certificate says", () =>
    Effect.gen(function* () {
      const { asks, answers } = joined()
      yield* asks.renewal.need(last)
      const [mine, theirs] = [asks.sessions[0]!, answers.sessions[0]!]
      expect(mine.id).toBe(theirs.id)
      expect(mine.secret).toEqual(theirs.secret)
      expect([mine.peer, theirs.peer]).toEqual([last, self])
      expect([mine.peerName, theirs.peerName]).toEqual(["host-2", "host-1"])
      yield* asks.renewal.need(last)
      expect(asks.sessions[1]?.id).not.toBe(mine.id)
    })
  )

  it.effect("do not agree where the certificate of who asks is not at hand", () =>
    Effect.gen(function* () {
      const { asks, answers } = joined()
      answers.admitted.clear()
      const refused = yield* Effect.flip(asks.renewal.need(last))
      expect(refused).toMatchObject({ code: "refused" })
      expect([asks.sessions, answers.sessions]).toEqual([[], []])
    })
  )

  it.effect("say so where the certificate of who was asked is gone, for somebody waits", () =>
    Effect.gen(function* () {
      const { asks } = joined()
      asks.admitted.clear()
      const failed = yield* Effect.flip(asks.renewal.need(last))
      expect(failed.message).toContain(`the certificate of ${last} is not at hand`)
      expect(asks.sessions).toEqual([])
    })
  )
})

describe("a session that is needed", () => {
  it.effect("with a node that is not connected comes of connecting", () =>
    Effect.gen(function* () {
      const side = new Side(self)
      side.connect = async (peer) => void side.meets(peer)
      yield* side.renewal.need(last)
      expect([side.asked, side.connected.has(last)]).toEqual([[], true])
    })
  )

  it.effect("is not to be had, for the reason that connecting says", () =>
    Effect.gen(function* () {
      const side = new Side(self)
      expect(yield* Effect.flip(side.renewal.need(last))).toMatchObject({ message: "no route" })
      side.connect = () => Promise.reject("in plain words")
      expect((yield* Effect.flip(side.renewal.need(last))).message).toContain("in plain words")
    })
  )

  it.effect("waits for the answer", () =>
    Effect.gen(function* () {
      const side = new Side(self).meets(last)
      const gate = yield* Deferred.make<void>()
      side.answer = (_, secret) => Effect.as(Deferred.await(gate), { secret })
      const needing = yield* Effect.fork(side.renewal.need(last))
      yield* Effect.yieldNow()
      expect(needing.unsafePoll()).toBeNull()
      yield* Deferred.succeed(gate, undefined)
      yield* needing.await
      expect(side.sessions).toHaveLength(1)
    })
  )
})
