import { createHash } from "node:crypto"
import { connect, createServer } from "node:net"
import { noise } from "@chainsafe/libp2p-noise"
import { defaultCrypto } from "@chainsafe/libp2p-noise/crypto"
import { yamux } from "@chainsafe/libp2p-yamux"
import type { ConnectionEncrypter, MessageStream, Upgrader } from "@libp2p/interface"
import { multiaddr } from "@multiformats/multiaddr"
import { Effect, Either } from "effect"
import { createLibp2p, type Libp2p } from "libp2p"
import { afterEach, describe, expect, it, vi } from "vitest"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { FirstWords } from "../../request/link/FirstWords.ts"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { socketTransport } from "../host/SocketTransport.ts"
import { type AdmissionOptions, makeAdmission } from "./Admission.ts"
import type { EncrypterComponents, Refusal } from "./AdmissionEncrypter.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { encodeCbor } from "./Cbor.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { HandshakeGate } from "./HandshakeGate.ts"
import { readStatus } from "./HandshakeStatus.ts"
import { createInvite, parseInvite } from "./Invite.ts"
import { certificateLifetime } from "./Issue.ts"
import { joinMesh } from "./Join.ts"
import type { IdentityCell, NodeIdentity } from "./NodeIdentity.ts"
import { renewalGrace, renewSelf } from "./Renewal.ts"
import type { RevocationsCell } from "./Revocations.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"
import type { TrustTalk } from "./TrustTalk.ts"

const start = 1_800_000_000_000
const day = 86_400_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const plain: Grant = { services: ["shop-*"], capabilities: [] }

const found = (n: number, now = start): NodeIdentity =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(n),
      privateKey: key(n + 1),
      meshName: "test",
      nodeName: NodeName.make(`first-${n}`),
      now
    })
  )
const member = (by: NodeIdentity, n: number, grant = plain, now = start): NodeIdentity =>
  Either.getOrThrow(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))

interface TestNode {
  readonly libp2p: Libp2p
  readonly cell: IdentityCell
  readonly admitted: AdmittedPeers
  readonly refusals: Array<Refusal>
  readonly renewed: Array<NodeIdentity>
  /** `connection:open` events: what the rest of libp2p got to see. */
  opened: number
}

const running: Array<Libp2p> = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

const launch = async (
  identity: NodeIdentity,
  options: Partial<AdmissionOptions> = {},
  change: (components: EncrypterComponents) => EncrypterComponents = (components) => components
): Promise<TestNode> => {
  const cell: IdentityCell = { current: identity }
  const admitted = options.admitted ?? new AdmittedPeers()
  const refusals: Array<Refusal> = []
  const renewed: Array<NodeIdentity> = []
  const libp2p = await createLibp2p({
    privateKey: identity.privateKey,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [socketTransport],
    connectionEncrypters: [
      (components) =>
        makeAdmission({
          identity: cell,
          now: () => start,
          onRefused: (refusal) => refusals.push(refusal),
          onRenewed: (next) => renewed.push(next),
          ...options,
          admitted
        })(change(components))
    ],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false }
  })
  running.push(libp2p)
  const node: TestNode = { libp2p, cell, admitted, refusals, renewed, opened: 0 }
  libp2p.addEventListener("connection:open", () => node.opened++)
  return node
}

/** The same but for one field, which is asked for when it is there. */
const changed = <Of extends object, Key extends keyof Of>(
  of: Of,
  key: Key,
  change: (value: Of[Key]) => Of[Key]
): Of =>
  new Proxy(of, {
    get: (target, asked) => (asked === key ? change(target[key]) : Reflect.get(target, asked))
  })

const addressOf = (node: TestNode) => node.libp2p.getMultiaddrs()[0]!

/** Polls, because the other side of a socket learns things a little later. */
const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 2_000, interval: 5 })

describe("admission", () => {
  it("lets members of one mesh talk, and knows their certificates while they are connected", async () => {
    const first = found(1)
    const a = await launch(first)
    const b = await launch(member(first, 3))
    await a.libp2p.handle("/echo/1", (stream) => {
      stream.addEventListener("message", (event) => {
        stream.send(event.data)
      })
    })
    const stream = await b.libp2p.dialProtocol(addressOf(a), "/echo/1")
    const echoed = new Promise<number>((resolve) => {
      let total = 0
      stream.addEventListener("message", (event) => {
        total += event.data.byteLength
        if (total === 100_000) resolve(total)
      })
    })
    stream.send(new Uint8Array(100_000))
    expect(await echoed).toBe(100_000)
    expect(a.admitted.get(b.cell.current.peer)?.name).toBe("node-3")
    expect(a.admitted.get(b.cell.current.peer)?.services).toEqual(["shop-*"])
    expect(b.admitted.get(first.peer)?.capabilities).toEqual(["admit", "policy", "revoke"])

    await b.libp2p.hangUp(a.libp2p.peerId)
    await eventually(() => {
      expect(a.admitted.size).toBe(0)
      expect(b.admitted.size).toBe(0)
    })
    expect([...a.refusals, ...b.refusals]).toEqual([])
  })

  it.each(["inbound", "outbound"] as const)(
    "is the same to who has Noise as libp2p brings it (%s)",
    async (direction) => {
      const first = found(1)
      const a = await launch(first)
      const b = await launch(member(first, 3), { noise: { crypto: defaultCrypto } })
      await (direction === "inbound" ? b.libp2p.dial(addressOf(a)) : a.libp2p.dial(addressOf(b)))
      await eventually(() => {
        expect([a.admitted.size, b.admitted.size]).toEqual([1, 1])
      })
      expect([...a.refusals, ...b.refusals]).toEqual([])
    }
  )

  it("tells both sides the other's clock, when clocks are what parts them, too", async () => {
    const first = found(1)
    const hour = 3_600_000
    const [atA, atB]: [Array<number>, Array<number>] = [[], []]
    const a = await launch(first, { onClock: (_, clock) => atA.push(clock) })
    const b = await launch(member(first, 3), {
      now: () => start - 2 * hour,
      onClock: (_, clock) => atB.push(clock)
    })
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/not_yet_valid|is valid from/)
    await eventually(() => {
      expect(atA).toEqual([start - 2 * hour])
      expect(atB).toEqual([start])
    })
    expect(b.refusals).toMatchObject([{ code: "not_yet_valid", by: "us" }])
    await eventually(() => {
      expect(a.refusals).toMatchObject([
        { code: "not_yet_valid", by: "peer", clock: start - 2 * hour }
      ])
    })
  })

  it("refuses a node of another mesh on both sides before a connection exists", async () => {
    const a = await launch(found(1))
    const stranger = await launch(found(5))
    await expect(stranger.libp2p.dial(addressOf(a))).rejects.toThrow(/another mesh/)
    await eventually(() => {
      expect(stranger.refusals[0]?.code).toBe("foreign_mesh")
      expect(a.refusals[0]?.direction).toBe("inbound")
    })
    expect([a.opened, stranger.opened]).toEqual([0, 0])
    expect(a.admitted.size).toBe(0)
  })

  it("refuses whoever forges membership of this very mesh, and tells both operators why", async () => {
    const first = found(1)
    const a = await launch(first)
    // Knows the root's public key (so Noise succeeds), but signed its certificate itself.
    const liar: NodeIdentity = { ...found(5), mesh: first.mesh }
    const b = await launch(liar)
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/refused by the peer/)
    await eventually(() => {
      expect(a.refusals).toMatchObject([
        { direction: "inbound", by: "us", code: "foreign_mesh", peer: liar.peer }
      ])
      expect(b.refusals).toMatchObject([
        { direction: "outbound", by: "peer", code: "foreign_mesh" }
      ])
    })
    expect([a.opened, b.opened]).toEqual([0, 0])
  })

  it("refuses a certificate shown by another peer than its own", async () => {
    const first = found(1)
    const a = await launch(first)
    const stolen = member(first, 3)
    const thief = await launch({ ...stolen, privateKey: key(9) })
    await expect(thief.libp2p.dial(addressOf(a))).rejects.toThrow(/wrong_peer/)
    expect(a.refusals).toMatchObject([{ code: "wrong_peer", by: "us" }])
  })

  it("refuses when the one that is called cannot prove itself", async () => {
    const first = found(1)
    const honest = await launch(member(first, 3))
    const stolen = member(first, 5)
    const impostor = await launch({ ...stolen, privateKey: key(9) })
    await expect(honest.libp2p.dial(addressOf(impostor))).rejects.toThrow()
    await eventually(() => {
      expect(honest.refusals).toMatchObject([{ by: "us", code: "wrong_peer" }])
      expect(impostor.refusals).toMatchObject([{ by: "peer", code: "wrong_peer" }])
    })
    expect([honest.opened, impostor.opened]).toEqual([0, 0])
  })

  it("says by how much clocks differ", async () => {
    const first = found(1)
    const a = await launch(first, { now: () => start - 3_600_000 })
    const b = await launch(member(first, 3))
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/1 h behind this node's/)
    expect(a.refusals[0]?.message).toMatch(/55 min ahead of this node's clock/)
  })

  it.each(["inbound", "outbound"] as const)(
    "renews a certificate that ran out while its node was away (%s)",
    async (direction) => {
      const now = start + certificateLifetime + 2 * day
      const first = found(1, now)
      const authority = await launch(first, { now: () => now })
      const sleeper = await launch(member(found(1), 3), { now: () => now })
      const old = sleeper.cell.current
      if (direction === "inbound") await sleeper.libp2p.dial(addressOf(authority))
      else await authority.libp2p.dial(addressOf(sleeper))
      await eventually(() => expect(sleeper.renewed).toHaveLength(1))
      expect(sleeper.cell.current.certificate).toMatchObject({
        peer: old.peer,
        name: old.name,
        services: old.certificate.services,
        notAfter: now + certificateLifetime
      })
      await eventually(() => {
        expect(authority.admitted.get(old.peer)?.notAfter).toBe(now + certificateLifetime)
      })
      expect([...authority.refusals, ...sleeper.refusals]).toEqual([])
    }
  )

  it("does not renew after the grace, nor where nobody may", async () => {
    const late = start + certificateLifetime + renewalGrace + day
    const authority = await launch(found(1, late), { now: () => late })
    const lost = await launch(member(found(1), 3), { now: () => late })
    await expect(lost.libp2p.dial(addressOf(authority))).rejects.toThrow(/expired/)
    expect(authority.refusals[0]?.code).toBe("expired")

    const now = start + 2 * day
    const plainMember = await launch(member(found(1, now), 5, plain, now), { now: () => now })
    const sleeper = await launch(member(found(1), 7), { now: () => now })
    await expect(sleeper.libp2p.dial(addressOf(plainMember))).rejects.toThrow(/expired/)
    expect(plainMember.refusals[0]?.message).toMatch(/does not hold the capability admit/)
  })

  it.each(["inbound", "outbound"] as const)(
    "brings members nearer to the root when they meet one that is (%s), once",
    async (direction) => {
      const admin: Grant = { services: ["*"], capabilities: ["admit"] }
      const first = found(1)
      const near = member(first, 3, admin)
      let far = near
      for (let n = 10; n < 15; n++) far = member(far, n, admin)
      const a = await launch(near)
      const b = await launch(far)
      const dial = () =>
        direction === "inbound"
          ? b.libp2p.dial(addressOf(a), { force: true })
          : a.libp2p.dial(addressOf(b), { force: true })
      await dial()
      await eventually(() => expect(b.renewed).toHaveLength(1))
      expect(b.cell.current).toMatchObject({ peer: far.peer, name: far.name })
      expect(b.cell.current.certificate.issuers).toEqual([near.peer])
      expect(b.cell.current.delegations).toHaveLength(2)
      await dial()
      await dial()
      expect([a.renewed.length, b.renewed.length]).toEqual([0, 1])
      expect([...a.refusals, ...b.refusals]).toEqual([])
      // What it signs from now on is believed by who has never met it.
      const c = await launch(member(b.cell.current, 20))
      await c.libp2p.dial(addressOf(a))
      expect(c.cell.current.certificate.issuers).toHaveLength(1)
    }
  )

  it("takes nothing from whoever does not prove itself a member", async () => {
    const admin: Grant = { services: ["*"], capabilities: ["admit"] }
    const first = found(1)
    const near = member(first, 3, admin)
    let far = near
    for (let n = 10; n < 15; n++) far = member(far, n, admin)
    const revoked = await launch(near)
    const b = await launch(far, { revocations: { current: revoking(nodeOut(near.peer)) } })
    await expect(b.libp2p.dial(addressOf(revoked))).rejects.toThrow()
    expect(b.cell.current).toBe(far)
    expect(b.renewed).toEqual([])
  })

  it("judges nobody before what is on disk of revocations was read", async () => {
    const first = found(1)
    const thrownOut = member(first, 3)
    const cell = { current: revoking() }
    const heard = Promise.withResolvers<void>()
    const a = await launch(first, { revocations: cell, heard: heard.promise })
    const b = await launch(thrownOut)
    const dialled = b.libp2p.dial(addressOf(a))
    await eventually(() => expect(a.libp2p.getConnections()).toHaveLength(0))
    cell.current = revoking(nodeOut(thrownOut.peer))
    heard.resolve()
    await expect(dialled).rejects.toThrow(/revoked/)
    expect(a.opened).toBe(0)
  })

  it("lets in whom a revoked member admitted and who stays", async () => {
    const first = found(1)
    const helper = member(first, 5, { services: ["*"], capabilities: ["admit"] })
    const admitted = member(helper, 7)
    const a = await launch(first, {
      revocations: { current: revoking(nodeOut(helper.peer, admitted.peer)) }
    })
    const b = await launch(admitted)
    await b.libp2p.dial(addressOf(a))
    expect(a.admitted.get(admitted.peer)?.name).toBe("node-7")
  })

  /** Holds what it was told, as `who out` each; what it takes is in force at once. */
  const talkOf = (...said: ReadonlyArray<NodeIdentity>) => {
    const cell: RevocationsCell = { current: revoking(...said.map(({ peer }) => nodeOut(peer))) }
    const held = new Set<string>(said.map(({ peer }) => peer))
    const talk: TrustTalk = {
      digest: () =>
        new Uint8Array(
          createHash("sha256")
            .update([...held].sort().join())
            .digest()
            .subarray(0, 16)
        ),
      records: () => Array.from(held, (peer) => new TextEncoder().encode(peer)),
      about: (peer) => (held.has(peer) ? [new TextEncoder().encode(peer)] : []),
      take: async (records) => {
        for (const bytes of records) held.add(new TextDecoder().decode(bytes))
        cell.current = revoking(...Array.from(held, (peer) => nodeOut(PeerKey.make(peer))))
      }
    }
    return { cell, held, options: { revocations: cell, trust: () => talk } }
  }

  it.each(["inbound", "outbound"])(
    "lets two that meet (%s) hear from each other who is out",
    async (way) => {
      const first = found(1)
      const [one, other] = [member(first, 5), member(first, 7)]
      // So many that they do not fit into one message.
      const more = Array.from(
        { length: 1_200 },
        (_, n) =>
          `1${String(10_000 + n)
            .padStart(45, "2")
            .replaceAll("0", "z")}`
      )
      const [near, far] = [talkOf(one), talkOf(other)]
      for (const peer of more) far.held.add(peer)
      const a = await launch(first, near.options)
      const b = await launch(member(first, 3), far.options)
      const [from, to] = way === "outbound" ? [a, b] : [b, a]
      await from.libp2p.dial(addressOf(to))
      expect(near.held.size).toBe(1_202)
      expect(far.held.size).toBe(1_202)
      await expect((await launch(other)).libp2p.dial(addressOf(a))).rejects.toThrow(/revoked/)
    }
  )

  it("shows who is out by whose word", async () => {
    const first = found(1)
    const outcast = member(first, 3)
    const { options } = talkOf(outcast)
    const a = await launch(first, options)
    const b = await launch(outcast)
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/revoked/)
    const [refusal] = b.refusals
    expect(refusal?.records?.map((bytes) => new TextDecoder().decode(bytes))).toEqual([
      outcast.peer
    ])
  })

  it("refuses a peer of which it hears only from itself that it is out", async () => {
    const first = found(1)
    const outcast = member(first, 3)
    const a = await launch(first, talkOf().options)
    const b = await launch(outcast, talkOf(outcast).options)
    await b.libp2p.dial(addressOf(a)).catch(() => undefined)
    await eventually(() => expect(a.refusals).toMatchObject([{ code: "revoked", by: "us" }]))
    expect(a.opened).toBe(0)
  })

  it("meets nodes from before there was anything to tell about trust", async () => {
    const first = found(1)
    const a = await launch(first, talkOf(member(first, 9)).options)
    const b = await launch(member(first, 3))
    await b.libp2p.dial(addressOf(a))
    await a.libp2p.hangUp(b.libp2p.peerId)
    await a.libp2p.dial(addressOf(b))
    expect(a.admitted.get(b.cell.current.peer)?.name).toBe("node-3")
  })

  it("wants nothing of a peer that has gone too far", async () => {
    const first = found(1)
    const rude = member(first, 3)
    const a = await launch(first, {
      cutOffFor: (peer) => (peer === rude.peer ? 60_000 : undefined)
    })
    const b = await launch(rude)
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/cut_off/)
    await expect(a.libp2p.dial(addressOf(b))).rejects.toThrow(/another 1 min/)
  })

  it("refuses the revoked, and those they admitted", async () => {
    const first = found(1)
    const helper = member(first, 3, { services: ["*"], capabilities: ["admit"] })
    const viaHelper = member(helper, 5)
    const a = await launch(first, { revocations: { current: revoking(nodeOut(helper.peer)) } })
    for (const identity of [helper, viaHelper]) {
      const b = await launch(identity)
      await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow(/revoked/)
    }
    expect(a.refusals.map(({ code }) => code)).toEqual(["revoked", "revoked"])
    expect(a.opened).toBe(0)
  })

  it("has room for as many peers as it says", async () => {
    const first = found(1)
    const a = await launch(first, { admitted: new AdmittedPeers(1) })
    const b = await launch(member(first, 3))
    const c = await launch(member(first, 5))
    await b.libp2p.dial(addressOf(a))
    await expect(c.libp2p.dial(addressOf(a))).rejects.toThrow()
    await eventually(() => expect(a.refusals).toMatchObject([{ code: "full" }]))
    await eventually(() => expect(c.refusals).toMatchObject([{ by: "peer", code: "full" }]))
  })

  it("tells who calls while it is busy when to come back, before either has shown itself", async () => {
    const first = found(1)
    const gate = new HandshakeGate(new ManualTicker(), { atOnce: 1, strangers: 1, waiting: 0 })
    const a = await launch(first, { gate })
    const b = await launch(member(first, 3))
    const leave = await gate.enter("10.0.0.9", new AbortController().signal)
    const peer = first.peer
    const target = addressOf(a)
    await expect(b.libp2p.dial(target)).rejects.toThrow("busy")
    await eventually(() => {
      expect(a.refusals).toMatchObject([
        { direction: "inbound", by: "us", code: "busy", peer: undefined }
      ])
      expect(b.refusals).toMatchObject([
        { direction: "outbound", by: "peer", code: "busy", peer, retryAfter: 100 }
      ])
    })
    leave("let in")
    await b.libp2p.dial(target)
    expect([a.admitted.size, gate.running]).toEqual([1, 0])
    // Whoever fails gives its place back, too.
    const stranger = await launch(found(21))
    await expect(stranger.libp2p.dial(addressOf(a))).rejects.toThrow()
    await eventually(() => expect(gate.running).toBe(0))
  })

  it("understands who turns it away at the door, where nothing is looked at", async () => {
    const b = await launch(member(found(1), 3))
    // As a request thread does it: by what the dialler says first, which comes in pieces.
    const door = createServer((socket) => {
      const words = new FirstWords()
      socket.on("error", () => undefined)
      socket.on("data", (bytes) => {
        if (words.take(bytes).asks !== "handshake") return
        socket.end(words.busy(1_234), () => socket.destroy())
      })
    })
    await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve))
    const bound = door.address()
    const port = typeof bound === "object" ? bound?.port : undefined
    const peer = found(1).peer
    const target = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${peer}`)
    await expect(b.libp2p.dial(target)).rejects.toThrow("busy")
    expect(b.refusals).toMatchObject([
      { direction: "outbound", by: "peer", code: "busy", peer, retryAfter: 1_234 }
    ])
    door.close()
  })

  it("refuses a member that would talk about muxers behind the handshake", async () => {
    const first = found(1)
    const a = await launch(first)
    // It names none of its own in the handshake, and understands those of the other side.
    let asked = 0
    const none = (): ReturnType<Upgrader["getStreamMuxers"]> => new Map()
    const b = await launch(member(first, 3), {}, (components) =>
      changed(components, "upgrader", (upgrader) =>
        changed(
          upgrader,
          "getStreamMuxers",
          (all) => () => (asked++ === 0 ? none() : all.call(upgrader))
        )
      )
    )
    await expect(b.libp2p.dial(addressOf(a))).rejects.toThrow()
    await eventually(() =>
      expect(a.refusals).toMatchObject([{ code: "protocol", by: "us", peer: b.cell.current.peer }])
    )
    expect([a.opened, a.admitted.size]).toEqual([0, 0])
  })

  it("keeps no place in line for who has hung up", async () => {
    const first = found(1)
    const gate = new HandshakeGate(new ManualTicker(), { atOnce: 1, strangers: 1 })
    const a = await launch(first, { gate })
    const b = await launch(member(first, 3))
    const leave = await gate.enter("10.0.0.9", new AbortController().signal)
    const patience = new AbortController()
    const dialled = b.libp2p.dial(addressOf(a), { signal: patience.signal })
    await eventually(() => expect(gate.waiting).toBe(1))
    patience.abort()
    await expect(dialled).rejects.toThrow()
    await eventually(() => expect(gate.waiting).toBe(0))
    leave("let in")
    expect(gate.running).toBe(0)
    await b.libp2p.dial(addressOf(a))
    expect(a.admitted.size).toBe(1)
  })

  it("gives up on a peer that says nothing", async () => {
    const first = found(1)
    const a = await launch(first, { timeout: 100 })
    const { port } = portOf(addressOf(a).toString())
    const socket = connect(port, "127.0.0.1")
    const ended = new Promise((resolve) => socket.on("error", resolve).on("close", resolve))
    // multistream-select only: asks for our encrypter and then stays silent.
    const line = (text: string) =>
      Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(`${text}\n`)])
    socket.write(Buffer.concat([line("/multistream/1.0.0"), line("/skein/noise/3")]))
    await eventually(() => expect(a.refusals).toMatchObject([{ code: "timeout", by: "us" }]))
    await ended
    socket.destroy()
  })
})

describe("whoever passes Noise but does not play by the rules", () => {
  /** Dials with Noise as the mesh has it, and then says `words` instead of introducing itself. */
  const dialAndSay = async (to: TestNode, words: (stream: MessageStream) => void) => {
    const { mesh } = to.cell.current
    const rude = (components: EncrypterComponents): ConnectionEncrypter => {
      const inner = noise({ prologueBytes: Buffer.from(`skein ${mesh}`) })(components)
      return {
        protocol: "/skein/noise/3",
        secureInbound: (connection, options) => inner.secureInbound(connection, options),
        secureOutbound: async (connection, options) => {
          await readStatus(connection, AbortSignal.timeout(5_000))
          const secured = await inner.secureOutbound(connection, options)
          words(secured.connection)
          return secured
        }
      }
    }
    const libp2p = await createLibp2p({
      transports: [socketTransport],
      connectionEncrypters: [rude],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      connectionMonitor: { enabled: false }
    })
    running.push(libp2p)
    // What the dialler makes of it is its own affair: it may well believe that it is connected.
    libp2p.dial(addressOf(to)).catch(() => undefined)
  }
  const message = (value: unknown) => {
    const bytes = encodeCbor(value)
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
  }
  const joiner = { type: "joiner", name: "x", claim: new Uint8Array(8) }

  it.each<[string, string, (stream: MessageStream) => void]>([
    ["nonsense", "protocol", (stream) => stream.send(Buffer.alloc(64, "\0\x09nonsense!"))],
    ["an empty message", "protocol", (stream) => stream.send(new Uint8Array([0, 0]))],
    ["a message too large", "protocol", (stream) => stream.send(new Uint8Array([255, 255]))],
    ["a flood", "protocol", (stream) => stream.send(new Uint8Array(1_000_000).fill(255))],
    ["the end first", "protocol", (stream) => stream.send(message({ type: "accept" }))],
    ["less than belongs there", "protocol", (stream) => stream.send(message({ type: "joiner" }))],
    ["an invite that is none", "malformed", (stream) => stream.send(message(joiner))],
    [
      "a certificate that is none",
      "malformed",
      (stream) => stream.send(message({ type: "member", chain: new Uint8Array(8) }))
    ],
    ["goodbye", "closed", (stream) => void stream.close()],
    ["nothing of itself, and goes on to the muxer", "protocol", () => undefined]
  ])("is refused when it says %s", async (_, code, words) => {
    // Long enough for a machine that is busy with something else.
    const a = await launch(found(1), { timeout: 1_000 })
    await dialAndSay(a, words)
    await eventually(() => expect(a.refusals).toMatchObject([{ direction: "inbound", by: "us" }]))
    expect(a.refusals[0]?.code).toBe(code)
    expect(a.opened).toBe(0)
    expect(a.admitted.size).toBe(0)
    // And the node is none the worse for it.
    const b = await launch(member(found(1), 3))
    await b.libp2p.dial(addressOf(a))
    expect(b.admitted.size).toBe(1)
  })
})

const portOf = (address: string): { readonly port: number } => ({
  port: Number(/\/tcp\/(\d+)/.exec(address)?.[1])
})

describe("joining", () => {
  const invite = (by: NodeIdentity, nodes: ReadonlyArray<TestNode>, grant: Grant, now = start) =>
    Either.getOrThrow(
      createInvite(by, {
        bootstrap: nodes.map((node) => addressOf(node).toString()),
        grant,
        ttl: 3_600_000,
        now
      })
    )
  const join = (token: string, n: number, now = start) =>
    joinMesh({
      invite: Either.getOrThrow(parseInvite(token, start)),
      privateKey: key(n),
      name: NodeName.make(`joined-${n}`),
      now: () => now,
      transports: [socketTransport]
    })

  const failure = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.runPromise(Effect.flip(Effect.asVoid(effect)))

  it("turns an invite into an identity that other members accept", async () => {
    const first = found(1)
    const a = await launch(first)
    const b = await launch(member(first, 3))
    const identity = await Effect.runPromise(join(invite(first, [a], plain), 7))
    expect(identity).toMatchObject({ name: "joined-7", mesh: first.mesh, meshName: "test" })
    expect(identity.certificate).toMatchObject({ services: ["shop-*"], capabilities: [] })
    expect(identity.authority).toBeUndefined()

    const joined = await launch(identity)
    await joined.libp2p.dial(addressOf(b))
    expect(joined.admitted.get(b.cell.current.peer)?.name).toBe("node-3")
  })

  it("comes again to a member that is busy", async () => {
    const first = found(1)
    const gate = new HandshakeGate(new ManualTicker(), { atOnce: 1, strangers: 1, waiting: 0 })
    const a = await launch(first, { gate })
    const leave = await gate.enter("10.0.0.9", new AbortController().signal)
    const identity = Effect.runPromise(join(invite(first, [a], plain), 7))
    await eventually(() => expect(gate.refused).toBeGreaterThan(1))
    leave("let in")
    expect(await identity).toMatchObject({ name: "joined-7" })
  })

  it("hands on admit, so that a mesh lives on without its first node", async () => {
    const first = found(1)
    const a = await launch(first)
    const admin: Grant = { services: ["*"], capabilities: ["admit"] }
    const second = await Effect.runPromise(join(invite(first, [a], admin), 7))
    expect(second.delegations).toHaveLength(1)
    await a.libp2p.stop()

    const b = await launch(second)
    const third = await Effect.runPromise(join(invite(second, [b], plain), 9))
    expect(third.certificate.issuers).toEqual([second.peer])
  })

  it("has room for the largest certificates there are", async () => {
    const wide: Grant = {
      services: Array.from({ length: 32 }, (_, n) => String(n).padStart(63, "x")),
      capabilities: ["admit"]
    }
    let deep = found(1)
    for (let n = 10; n < 14; n++) deep = member(deep, n, wide)
    const own = Either.getOrThrow(renewSelf(deep, start))
    const a = await launch(own)
    const identity = await Effect.runPromise(join(invite(own, [a], wide), 7))
    const shown = own.chain.length + 2 * identity.chain.length
    expect(shown).toBeGreaterThan(32 * 1024)
    expect(identity.delegations).toHaveLength(5)
    const b = await launch(identity)
    await b.libp2p.dial(addressOf(a))
    expect([...a.refusals, ...b.refusals]).toEqual([])
  })

  it("passes over addresses where nobody can admit it", async () => {
    const first = found(1)
    const a = await launch(first)
    const noAdmit = await launch(member(first, 3))
    const gone = await launch(member(first, 5))
    const token = invite(first, [gone, noAdmit, a], plain)
    await gone.libp2p.stop()
    const identity = await Effect.runPromise(join(token, 7))
    expect(identity.certificate.issuers).toEqual([])
    expect(noAdmit.refusals).toMatchObject([{ code: "cannot_admit" }])
  })

  it("tells the joiner why each address refused it", async () => {
    const first = found(1)
    const late = start + 2 * 3_600_000
    const a = await launch(first, { now: () => late })
    const error = await failure(join(invite(first, [a], plain), 7, late))
    expect(error.attempts).toMatchObject([{ address: addressOf(a).toString(), code: "expired" }])
    expect(error.message).toMatch(/invite it used\) has expired/)
    expect(a.refusals[0]?.message).toMatch(/the invite expired at .* 1 h ago/)
    expect(a.opened).toBe(0)
  })

  it("refuses a name that another node bears", async () => {
    const first = found(1)
    const a = await launch(first, { isNameTaken: (name) => name === "joined-7" })
    const error = await failure(join(invite(first, [a], plain), 7))
    expect(error.attempts).toMatchObject([{ code: "name_taken" }])
  })

  it("is not possible with a token that was taken back", async () => {
    const first = found(1)
    const cell = { current: revoking() }
    const a = await launch(first, { revocations: cell })
    const token = invite(first, [a], plain)
    cell.current = revoking({
      revoke: "invite",
      invite: Either.getOrThrow(parseInvite(token, start)).id
    })
    const error = await failure(join(token, 7))
    expect(error.attempts).toMatchObject([{ code: "revoked" }])
    // Another one of the same member is none the worse.
    const other = await Effect.runPromise(join(invite(first, [a], plain), 7))
    expect(other.name).toBe("joined-7")
  })

  it("is not possible with what a revoked member signed", async () => {
    const first = found(1)
    const helper = member(first, 3, { services: ["*"], capabilities: ["admit"] })
    const a = await launch(first, { revocations: { current: revoking(nodeOut(helper.peer)) } })
    const error = await failure(join(invite(helper, [a], plain), 7))
    expect(error.attempts).toMatchObject([{ code: "revoked" }])
  })

  it("shows its claim only to the peer that the token names", async () => {
    const first = found(1)
    const impostor = await launch(found(5))
    const port = portOf(addressOf(impostor).toString()).port
    const token = Either.getOrThrow(
      createInvite(first, {
        bootstrap: [`/ip4/127.0.0.1/tcp/${port}/p2p/${first.peer}`],
        grant: plain,
        ttl: 3_600_000,
        now: start
      })
    )
    const error = await failure(join(token, 7))
    expect(error.attempts).toHaveLength(1)
    expect(multiaddr(error.attempts[0]!.address).toString()).toContain(first.peer)
    expect(impostor.refusals.every(({ peer }) => peer === undefined)).toBe(true)
  })
})
