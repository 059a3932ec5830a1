import { randomBytes } from "node:crypto"
import { connect, createServer, type Server, type Socket } from "node:net"
import { yamux } from "@chainsafe/libp2p-yamux"
import { multiaddr } from "@multiformats/multiaddr"
import { Either } from "effect"
import { createLibp2p, type Libp2p } from "libp2p"
import { afterEach, describe, expect, it, vi } from "vitest"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { busyStatus, greeting, proposals } from "../../model/HandshakeWords.ts"
import { NodeName, type PeerKey } from "../../model/Names.ts"
import { NoiseInitiator } from "../../model/NoiseNNpsk0.ts"
import { LoopTicker } from "../../request/LoopTicker.ts"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { SocketTransport } from "../host/SocketTransport.ts"
import { type AdmissionOptions, makeAdmission } from "./Admission.ts"
import type { AdmissionEncrypter, Refusal } from "./AdmissionEncrypter.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { defaultSkew } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { HandshakeGate } from "./HandshakeGate.ts"
import { isResumed } from "./HandshakeStatus.ts"
import { certificateLifetime } from "./Issue.ts"
import type { IdentityCell, NodeIdentity } from "./NodeIdentity.ts"
import { encodeOffered, offerBytes, prologueOf } from "./Resumption.ts"
import { Revocations } from "./Revocations.ts"
import { resumptionLife, SessionBook } from "./SessionBook.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"
import type { TrustTalk } from "./TrustTalk.ts"

const start = 1_800_000_000_000
const minute = 60_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const plain: Grant = { services: ["shop-*"], capabilities: [] }

const found = (): NodeIdentity =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(1),
      privateKey: key(2),
      meshName: "test",
      nodeName: NodeName.make("first"),
      now: start
    })
  )
const member = (by: NodeIdentity, n: number, grant = plain, now = start): NodeIdentity =>
  Either.getOrThrow(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))

interface TestNode {
  readonly libp2p: Libp2p
  readonly peer: PeerKey
  readonly cell: IdentityCell
  readonly admitted: AdmittedPeers
  readonly book: SessionBook
  readonly clock: { now: number }
  readonly revocations: { current: Revocations }
  readonly refusals: Array<Refusal>
  readonly renewed: Array<NodeIdentity>
  /** What came of resuming, as it is counted. */
  readonly outcomes: Array<string>
  /** Whole handshakes that let somebody in, by direction. */
  readonly handshakes: Array<string>
  /** `connection:open` events: what the rest of libp2p got to see. */
  opened: number
}

const running: Array<Libp2p> = []
const servers: Array<Server> = []
const sockets: Array<Socket> = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

/** `resumes`: false for one of before this was known. */
const launch = async (
  identity: NodeIdentity,
  options: Partial<AdmissionOptions> & { readonly resumes?: boolean } = {}
): Promise<TestNode> => {
  const { resumes = true, ...admission } = options
  const cell: IdentityCell = { current: identity }
  const clock = { now: start }
  const revocations = { current: Revocations.none }
  const admitted = new AdmittedPeers()
  const refusals: Array<Refusal> = []
  const renewed: Array<NodeIdentity> = []
  const outcomes: Array<string> = []
  const handshakes: Array<string> = []
  const book = new SessionBook({
    now: () => clock.now,
    onSession: () => undefined,
    onEnd: () => undefined
  })
  let encrypter: AdmissionEncrypter | undefined
  const libp2p = await createLibp2p({
    privateKey: identity.privateKey,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [
      (components) => new SocketTransport(components, undefined, () => encrypter?.resumer)
    ],
    connectionEncrypters: [
      (components) => {
        encrypter = makeAdmission({
          ...{ identity: cell, admitted, revocations, now: () => clock.now },
          onRefused: (refusal) => refusals.push(refusal),
          onRenewed: (next) => renewed.push(next),
          onSession: (certificate, keys) => book.made(certificate, keys),
          onHandshake: (direction) => handshakes.push(direction),
          onResumption: (direction, outcome) => outcomes.push(`${direction} ${outcome}`),
          ...(resumes && { resumptions: book }),
          ...admission
        })(components)
        return encrypter
      },
      () => {
        if (encrypter === undefined) throw new Error("encrypters are made in turn")
        return encrypter.resumer ?? encrypter
      }
    ],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    // Strangers come here one after the other.
    connectionManager: { inboundConnectionThreshold: 1_000, maxIncomingPendingConnections: 80 },
    connectionMonitor: { enabled: false }
  })
  running.push(libp2p)
  const node: TestNode = {
    ...{
      libp2p,
      cell,
      admitted,
      book,
      clock,
      revocations,
      refusals,
      renewed,
      outcomes,
      handshakes
    },
    peer: identity.peer,
    opened: 0
  }
  libp2p.addEventListener("connection:open", () => node.opened++)
  return node
}

/** Polls, because the other side of a socket learns things a little later. */
const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 2_000, interval: 5 })

const addressOf = (node: TestNode) => node.libp2p.getMultiaddrs()[0]!
const portOf = (node: TestNode): number => Number(addressOf(node).toString().split("/")[4])

const meet = async (from: TestNode, to: TestNode, address = addressOf(to)): Promise<void> => {
  await from.libp2p.dial(address)
  await eventually(() => {
    expect(from.admitted.get(to.peer)).toBeDefined()
    expect(to.admitted.get(from.peer)).toBeDefined()
  })
}

const part = async (one: TestNode, other: TestNode): Promise<void> => {
  await Promise.all([
    one.libp2p.hangUp(other.libp2p.peerId),
    other.libp2p.hangUp(one.libp2p.peerId)
  ])
  await eventually(() => expect([one.admitted.size, other.admitted.size]).toEqual([0, 0]))
}

/** Two that were connected a moment ago. */
const acquainted = async (
  ofA: Parameters<typeof launch>[1] = {},
  ofB: Parameters<typeof launch>[1] = {}
) => {
  const first = found()
  const a = await launch(first, ofA)
  const b = await launch(member(first, 3), ofB)
  await meet(b, a)
  await part(a, b)
  return { first, a, b }
}

/** How often each of them has resumed, and was declined. */
const resumed = (...nodes: ReadonlyArray<TestNode>) =>
  nodes.map(({ outcomes }) => outcomes.filter((it) => it.endsWith("resumed")).length)
const declined = (...nodes: ReadonlyArray<TestNode>) =>
  nodes.map(({ outcomes }) => outcomes.filter((it) => it.endsWith("declined")).length)

/** Stands in between, writes down what the dialler says, and may hold it back, or change what it is answered. */
const between = async (
  node: TestNode,
  change: (answer: Buffer) => Buffer = (answer) => answer
): Promise<{
  said: () => Buffer
  address: ReturnType<typeof multiaddr>
  connections: () => number
  hold: { on: boolean; release: () => void }
}> => {
  const said: Array<Buffer> = []
  let connections = 0
  const held: Array<() => void> = []
  const hold = {
    on: false,
    release: () => {
      hold.on = false
      for (const go of held.splice(0)) go()
    }
  }
  const server = createServer((near) => {
    connections++
    const far = connect(portOf(node), "127.0.0.1")
    sockets.push(near, far)
    near.on("data", (chunk) => {
      said.push(chunk)
      const go = () => far.write(chunk)
      if (hold.on && Buffer.concat(said).length > beforeOffer) held.push(go)
      else go()
    })
    far.on("data", (chunk) => near.write(change(chunk)))
    near.on("close", () => far.destroy())
    far.on("close", () => near.destroy())
    for (const socket of [near, far]) socket.on("error", () => undefined)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const bound = server.address()
  if (bound === null || typeof bound === "string") throw new Error("no port")
  return {
    said: () => Buffer.concat(said),
    address: multiaddr(`/ip4/127.0.0.1/tcp/${bound.port}/p2p/${node.peer}`),
    connections: () => connections,
    hold
  }
}

const asksToResume = Buffer.concat([greeting, proposals[1]!])
const beforeOffer = asksToResume.length

/** Says it all at once, and answers the status of whoever is there, with what follows. */
const raw = async (
  node: TestNode,
  words: Uint8Array
): Promise<{ status: Buffer; socket: Socket }> => {
  const socket = connect(portOf(node), "127.0.0.1")
  sockets.push(socket)
  socket.on("error", () => undefined)
  socket.write(words)
  let got = Buffer.alloc(0)
  await new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk])
      if (got.length >= beforeOffer + 3) resolve()
    })
    socket.on("close", () => reject(new Error("it hung up")))
  })
  expect(got.subarray(0, beforeOffer)).toEqual(asksToResume)
  return { status: got.subarray(beforeOffer, beforeOffer + 3), socket }
}

/** An offer of a node to another, made as it is in the file on it. */
const offerOf = (
  dialler: TestNode,
  listener: TestNode,
  change: { secret?: Uint8Array; as?: PeerKey } = {}
): Buffer => {
  const known = dialler.book.resumable(listener.peer)
  if (known === undefined) throw new Error("there is nothing to be resumed")
  const { id, certificate } = known
  const { cell } = dialler
  const { mesh, roots } = cell.current
  const as = change.as ?? dialler.peer
  const noise = new NoiseInitiator({
    secret: change.secret ?? known.secret,
    prologue: prologueOf(id, { mesh, dialler: as, listener: listener.peer })
  })
  const standing = {
    own: cell.current.certificate.fingerprint,
    theirs: certificate.fingerprint,
    trust: undefined,
    roots: roots.digest()
  }
  const offer = noise.write(encodeOffered(standing, start))
  return Buffer.concat([asksToResume, Buffer.from(id, "hex"), offer])
}

describe("a connection that was there a short while ago", () => {
  it("is resumed, each time by another secret, and makes another session", async () => {
    const { a, b } = await acquainted()
    const before = b.book.all().map(({ id }) => id)
    await a.libp2p.handle("/echo/1", (stream) => {
      stream.addEventListener("message", (event) => void stream.send(event.data))
    })
    for (const times of [1, 2, 3]) {
      const offered = b.book.resumable(a.peer)?.id
      await meet(b, a)
      expect(resumed(a, b)).toEqual([times, times])
      expect(b.book.resumable(a.peer)?.id).not.toBe(offered)
      const stream = await b.libp2p.dialProtocol(addressOf(a), "/echo/1")
      const echoed = new Promise<Buffer>((resolve) => {
        const parts: Array<Uint8Array> = []
        stream.addEventListener("message", ({ data }) => {
          parts.push(data.subarray().slice())
          if (Buffer.concat(parts).length >= 200_000) resolve(Buffer.concat(parts))
        })
      })
      const sent = randomBytes(200_000)
      stream.send(sent)
      expect(Buffer.compare(await echoed, sent)).toBe(0)
      await part(a, b)
    }
    expect(a.book.all()).toMatchObject(b.book.all().map(({ id, secret }) => ({ id, secret })))
    expect(b.book.all().map(({ id }) => id)).not.toEqual(before)
    expect(declined(a, b)).toEqual([0, 0])
    expect([...a.refusals, ...b.refusals]).toEqual([])
  })

  it("is resumed by who was called before, and by both at once", async () => {
    const { a, b } = await acquainted()
    await meet(a, b)
    expect([a.outcomes, b.outcomes]).toEqual([["outbound resumed"], ["inbound resumed"]])
    await part(a, b)
    await Promise.all([a.libp2p.dial(addressOf(b)), b.libp2p.dial(addressOf(a))])
    await eventually(() => expect(resumed(a, b).map((it) => it >= 2)).toEqual([true, true]))
    expect(declined(a, b)).toEqual([0, 0])
    await part(a, b)
    // Whichever of the two secrets each has kept last.
    await meet(a, b)
    expect(declined(a, b)).toEqual([0, 0])
    // That by which they met first.
    expect([a.handshakes, b.handshakes]).toEqual([["inbound"], ["outbound"]])
  })

  it("is made by a whole handshake where a node was started anew, on the same connection", async () => {
    const { a, b, first } = await acquainted()
    const anew = await launch(first)
    const way = await between(anew)
    await meet(b, anew, way.address)
    expect([anew.outcomes, b.outcomes]).toEqual([["inbound declined"], ["outbound declined"]])
    expect(way.connections()).toBe(1)
    expect([...anew.refusals, ...b.refusals]).toEqual([])
    expect([anew.handshakes, b.handshakes]).toEqual([["inbound"], ["outbound", "outbound"]])
    await part(anew, b)
    await meet(b, anew)
    expect(resumed(anew, b)).toEqual([1, 1])
    expect(anew.handshakes).toHaveLength(1)
    expect(a.opened).toBe(1)
  })

  it.each(["inbound", "outbound"] as const)(
    "is made as ever with a node of before this was known (%s)",
    async (direction) => {
      const { a, b } = await acquainted({ resumes: false })
      const way = await between(a)
      const again = async () => {
        if (direction === "inbound") await meet(a, b)
        else await meet(b, a, way.address)
        await part(a, b)
      }
      await again()
      expect(resumed(b)).toEqual([0])
      expect([...a.refusals, ...b.refusals]).toEqual([])
      if (direction === "inbound") return
      expect(way.said().includes("/skein/resume/1")).toBe(true)
      expect(way.connections()).toBe(1)
      // It is not asked each time, and again when it may have been updated.
      const said = way.said().length
      await again()
      expect(way.said().subarray(said).includes("/skein/resume/1")).toBe(false)
      for (const { clock } of [a, b]) clock.now += 61 * minute
      // What there was to be resumed is over, too: that comes of this one.
      await again()
      const later = way.said().length
      await again()
      expect(way.said().subarray(later).includes("/skein/resume/1")).toBe(true)
    }
  )

  it("waits in no line, while there are not too many", async () => {
    const ticker = new ManualTicker()
    const gate = new HandshakeGate(ticker, { atOnce: 1, waiting: 0 })
    const { a, b } = await acquainted({ gate })
    // Somebody else is at it.
    const leave = await gate.enter("127.0.0.1", new AbortController().signal)
    await meet(b, a)
    expect(resumed(a, b)).toEqual([1, 1])
    await part(a, b)
    for (let taken = 0; taken < 99; taken++) expect(gate.takesResumed(`${taken}`)).toBe(true)
    expect(gate.takesResumed("another")).toBe(false)
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/busy/)
    expect(b.refusals).toMatchObject([{ code: "busy", by: "peer" }])
    leave("nothing")
    await meet(b, a)
    expect(resumed(a, b)).toEqual([1, 1])
  })
})

describe("what is offered to resume a connection", () => {
  it("serves once: recorded and said again it leads to a whole handshake, and to nothing", async () => {
    const { a, b } = await acquainted()
    const way = await between(a)
    await meet(b, a, way.address)
    const words = way.said()
    await part(a, b)
    const opened = a.opened
    const { socket, status } = await raw(a, words)
    expect(isResumed(status)).toBe(false)
    expect(a.outcomes).toEqual(["inbound resumed", "inbound declined"])
    socket.destroy()
    await eventually(() => expect(a.refusals).toHaveLength(1))
    expect([a.opened, a.admitted.size]).toEqual([opened, 0])
  })

  it("is of no use to who gets there first with it", async () => {
    const { a, b } = await acquainted()
    const way = await between(a)
    way.hold.on = true
    const opened = a.opened
    const dialled = b.libp2p.dial(way.address)
    await eventually(() => expect(way.said().length).toBe(beforeOffer + offerBytes))
    const { socket, status } = await raw(a, way.said())
    // It is answered as its maker would be, and has nothing to go on with.
    expect(isResumed(status)).toBe(true)
    socket.write(randomBytes(64))
    await eventually(() => expect(a.refusals).toHaveLength(1))
    expect([a.opened, a.admitted.size, resumed(a)]).toEqual([opened, 0, [0]])
    // Whose it is gets in all the same.
    way.hold.release()
    await dialled
    await eventually(() => expect(a.admitted.get(b.peer)).toBeDefined())
    expect([a.outcomes, b.outcomes]).toEqual([["inbound declined"], ["outbound declined"]])
  })

  it("is refused without the secret, and with any bit of it changed, and costs its owner nothing", async () => {
    const { a, b } = await acquainted()
    const wrong = await raw(a, offerOf(b, a, { secret: randomBytes(32) }))
    expect(isResumed(wrong.status)).toBe(false)
    wrong.socket.destroy()
    const genuine = offerOf(b, a)
    for (let at = beforeOffer; at < genuine.length; at += 5) {
      const altered = Buffer.from(genuine)
      altered[at]! ^= 1 << (at % 8)
      const { socket, status } = await raw(a, altered)
      expect([at, isResumed(status)]).toEqual([at, false])
      socket.destroy()
    }
    expect(resumed(a)).toEqual([0])
    await meet(b, a)
    expect(resumed(a, b)).toEqual([1, 1])
  })

  it("is refused from anybody but whose it is, and when it is led back", async () => {
    const { a, b, first } = await acquainted()
    const c = await launch(member(first, 5))
    const stolen = await raw(a, offerOf(b, a, { as: c.peer }))
    expect(isResumed(stolen.status)).toBe(false)
    stolen.socket.destroy()
    // The secret that it shares with another is not known here.
    await meet(c, b)
    await part(c, b)
    const ofOthers = await raw(a, offerOf(c, b))
    expect(isResumed(ofOthers.status)).toBe(false)
    ofOthers.socket.destroy()
    const reflected = await raw(b, offerOf(b, a))
    expect(isResumed(reflected.status)).toBe(false)
    reflected.socket.destroy()
  })

  it("leads to nobody but who has the secret as well", async () => {
    const { a, b } = await acquainted()
    const way = await between(a, (answer) => {
      const at = answer.length - 1
      const changed = Buffer.from(answer)
      if (answer.length > beforeOffer) changed[at]! ^= 1
      return changed
    })
    await expect(b.libp2p.dial(way.address)).rejects.toThrow(/does not know what it says/)
    expect(b.refusals).toMatchObject([{ direction: "outbound", by: "us", code: "wrong_peer" }])
    expect([b.admitted.size, resumed(a, b)]).toEqual([0, [0, 0]])
    // It is not tried again by the same.
    await meet(b, a)
    expect([declined(b), resumed(b)]).toEqual([[0], [0]])
  })

  it("is waited for from a few at a time, and not for long: who asks and is silent keeps no member out", async () => {
    const first = found()
    const gate = new HandshakeGate(new LoopTicker())
    const a = await launch(first, { gate })
    const b = await launch(member(first, 3))
    const silent = Array.from({ length: 80 }, () => {
      const socket = connect(portOf(a), "127.0.0.1")
      sockets.push(socket)
      const said: Array<Buffer> = []
      socket.on("data", (chunk) => said.push(chunk))
      socket.on("error", () => undefined)
      socket.write(asksToResume)
      return { socket, said }
    })
    const over = () => silent.filter(({ socket }) => socket.closed)
    await eventually(() => expect(over()).toHaveLength(16))
    for (const { said } of over()) {
      const told = Buffer.concat(said)
      expect(told.subarray(0, beforeOffer)).toEqual(asksToResume)
      expect(told.subarray(beforeOffer)).toEqual(busyStatus(500))
    }
    expect(a.refusals.map(({ code }) => code)).toEqual(Array(16).fill("busy"))
    expect(gate.refused).toBe(16)
    await meet(b, a)
    await eventually(() => expect(over()).toHaveLength(80))
    expect(a.refusals.filter(({ code }) => code === "timeout")).toHaveLength(64)
  })

  it("is put off where too many are waited for: a whole handshake is made the next time", async () => {
    const gate = new HandshakeGate(new ManualTicker())
    const { a, b } = await acquainted({ gate })
    const said = Array.from({ length: 192 }, () => gate.awaitOffer("127.0.0.1"))
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/busy/)
    expect(b.refusals).toMatchObject([{ code: "busy", by: "peer", retryAfter: 500 }])
    expect(a.refusals).toMatchObject([{ code: "busy", by: "us" }])
    await meet(b, a)
    expect([declined(b), resumed(a, b)]).toEqual([[1], [0, 0]])
    for (const one of said) one()
    await part(a, b)
    await meet(b, a)
    expect(resumed(a, b)).toEqual([1, 1])
  })

  it("is not waited for without end", async () => {
    const { a } = await acquainted({ timeout: 50 })
    const socket = connect(portOf(a), "127.0.0.1")
    sockets.push(socket)
    socket.on("error", () => undefined)
    socket.write(asksToResume)
    await eventually(() => expect(a.refusals).toMatchObject([{ code: "timeout", by: "us" }]))
    expect(a.opened).toBe(1)
  })
})

describe("nobody resumes a connection who would not be let in", () => {
  it.each(["inbound", "outbound"] as const)("who was thrown out (%s)", async (direction) => {
    const { a, b } = await acquainted()
    a.revocations.current = revoking(nodeOut(b.peer))
    const dialled =
      direction === "inbound" ? b.libp2p.dial(addressOf(a)) : a.libp2p.dial(addressOf(b))
    await expect(dialled).rejects.toThrow(/revoked|thrown out/)
    await eventually(() => expect(a.refusals).toMatchObject([{ code: "revoked", by: "us" }]))
    expect([resumed(a, b), a.admitted.size]).toEqual([[0, 0], 0])
  })

  it("who was thrown out while it was on the way", async () => {
    let onTheWay = () => undefined as unknown
    const { a, b } = await acquainted({ onClock: () => void onTheWay() })
    // The last that is looked at before the answer.
    onTheWay = () => {
      a.revocations.current = revoking(nodeOut(b.peer))
    }
    const opened = a.opened
    await b.libp2p.dial(addressOf(a)).catch(() => undefined)
    await eventually(() => expect(a.refusals).toHaveLength(1))
    expect([resumed(a), a.admitted.size, a.opened]).toEqual([[0], 0, opened])
  })

  it("whose certificate has ended: it is renewed as ever", async () => {
    const first = found()
    const a = await launch(first)
    const nearlyOver = start - certificateLifetime + 10 * minute
    const b = await launch(member(first, 3, plain, nearlyOver))
    await meet(b, a)
    await part(a, b)
    for (const { clock } of [a, b]) clock.now += 10 * minute + defaultSkew + 1
    await meet(b, a)
    expect([resumed(a, b), b.renewed.length]).toEqual([[0, 0], 1])
  })

  it("who has another certificate by now, or is known by another", async () => {
    const { a, b, first } = await acquainted()
    b.cell.current = member(first, 3, { services: ["till"], capabilities: [] }, start + 1)
    await meet(b, a)
    expect([a.outcomes, b.outcomes]).toEqual([["inbound declined"], ["outbound declined"]])
    expect(a.admitted.get(b.peer)?.services).toEqual(["till"])
    await part(a, b)
    a.book.refresh(member(first, 3, plain, start + 2).certificate)
    await meet(b, a)
    expect([declined(a, b), resumed(a, b)]).toEqual([
      [2, 2],
      [0, 0]
    ])
  })

  it("who holds something else about trust: both tell each other first", async () => {
    const taken: Array<string> = []
    const talk = (name: string, digest: { of: number }): TrustTalk => ({
      digest: () => new Uint8Array(16).fill(digest.of),
      records: () => [Buffer.from(name)],
      about: () => [],
      take: async (records) => void taken.push(...records.map((one) => Buffer.from(one).toString()))
    })
    const [ofA, ofB] = [{ of: 1 }, { of: 1 }]
    const { a, b } = await acquainted(
      { trust: () => talk("a", ofA) },
      { trust: () => talk("b", ofB) }
    )
    await meet(b, a)
    expect([resumed(a, b), taken]).toEqual([[1, 1], []])
    await part(a, b)
    ofA.of = 2
    await meet(b, a)
    expect([declined(a, b), taken.sort()]).toEqual([
      [1, 1],
      ["a", "b"]
    ])
  })

  it("of whom nothing is wanted for a while", async () => {
    const cutOff = new Set<PeerKey>()
    const { a, b } = await acquainted({
      cutOffFor: (peer) => (cutOff.has(peer) ? minute : undefined)
    })
    cutOff.add(b.peer)
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/cut_off/)
    expect(resumed(a, b)).toEqual([0, 0])
  })

  it("after an hour, whatever the other's clock says, and where a clock was set back", async () => {
    const { a, b } = await acquainted()
    // Each goes by its own: half of what may be between them is nothing to the other.
    b.clock.now += defaultSkew / 2
    await meet(b, a)
    expect(resumed(a, b)).toEqual([1, 1])
    await part(a, b)
    a.clock.now += resumptionLife
    await meet(b, a)
    expect([a.outcomes.at(-1), b.outcomes.at(-1)]).toEqual([
      "inbound declined",
      "outbound declined"
    ])
    await part(a, b)
    a.clock.now = start - defaultSkew / 2
    await meet(b, a)
    expect(a.outcomes.at(-1)).toBe("inbound declined")
    await part(a, b)
    b.clock.now += resumptionLife
    const before = declined(a, b)
    await meet(b, a)
    // It was not even asked for.
    expect([declined(a, b), resumed(a, b)]).toEqual([before, [1, 1]])
  })
})
