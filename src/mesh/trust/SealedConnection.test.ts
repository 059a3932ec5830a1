import { randomBytes } from "node:crypto"
import { describe, expect, it, vi } from "@effect/vitest"
import type { MultiaddrConnection } from "@libp2p/interface"
import { multiaddrConnectionPair } from "@libp2p/utils"
import { PeerKey } from "../../model/Names.ts"
import { recordSecrets } from "../../request/wire/RecordCipher.ts"
import { Lane, laneKinds } from "./Lane.ts"
import { maxLanes, SealedConnection } from "./SealedConnection.ts"
import { SealedConnections } from "./SealedConnections.ts"

const peer = PeerKey.make("12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp")

/** What a lane was told. */
class Heard {
  text = ""
  drains = 0
  closed: string | undefined = undefined

  constructor(lane: Lane) {
    lane.events = {
      onData: (bytes) => {
        this.text += Buffer.from(bytes).toString("latin1")
      },
      onDrain: () => {
        this.drains++
      },
      onClose: (cause) => {
        this.closed = cause?.message ?? "in order"
      }
    }
  }
}

interface Side {
  readonly under: MultiaddrConnection
  readonly sealed: SealedConnection
  readonly registry: SealedConnections
  readonly accepted: Array<{ readonly lane: Lane; readonly heard: Heard }>
}

/** `early`: what the listener does before the dialler has said anything. */
const makePair = (
  capacity = 1_000_000,
  early: (listener: Side) => void = () => undefined
): { readonly a: Side; readonly b: Side } => {
  const [outbound, inbound] = multiaddrConnectionPair({ delay: 0, capacity })
  const { dialled, answered } = recordSecrets(randomBytes(32), randomBytes(32))
  const side = (under: MultiaddrConnection, name: "dialler" | "listener"): Side => {
    const [sendSecret, receiveSecret] =
      name === "dialler" ? [dialled, answered] : [answered, dialled]
    const sealed = new SealedConnection({ under, side: name, sendSecret, receiveSecret })
    const registry = new SealedConnections()
    const accepted: Side["accepted"] = []
    registry.add(peer, sealed)
    registry.handle("/test/1", (_, lane) => accepted.push({ lane, heard: new Heard(lane) }))
    return { under, sealed, registry, accepted }
  }
  // The listener first, as after a handshake.
  const b = side(inbound, "listener")
  early(b)
  return { a: side(outbound, "dialler"), b }
}

const openLane = ({ registry }: Side) => {
  const lane = registry.open(peer, "/test/1")
  if (lane === undefined) throw new Error("no lane")
  return { lane, heard: new Heard(lane) }
}

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

describe("an admitted connection", () => {
  it("is a stream for libp2p, in both directions, whoever writes first", async () => {
    const { a, b } = makePair(1_000_000, ({ sealed }) => {
      // Kept, and the writer told to wait.
      expect(sealed.send(Buffer.from("from b"))).toBe(false)
    })
    const got = { a: "", b: "" }
    a.sealed.addEventListener("message", ({ data }) => {
      got.a += Buffer.from(data.subarray()).toString()
    })
    b.sealed.addEventListener("message", ({ data }) => {
      got.b += Buffer.from(data.subarray()).toString()
    })
    a.sealed.send(Buffer.from("from a"))
    await eventually(() => expect(got).toEqual({ a: "from b", b: "from a" }))
    const large = "x".repeat(300_000)
    a.sealed.send(Buffer.from(large))
    await eventually(() => expect(got.b).toBe(`from a${large}`))
  })

  it("carries lanes that either side opens, each in order", async () => {
    const { a, b } = makePair()
    const one = openLane(a)
    const two = openLane(b)
    for (let i = 0; i < 50; i++) {
      one.lane.write(Buffer.from(`${i},`))
      two.lane.write(Buffer.from(`${i};`))
    }
    one.lane.write(Buffer.alloc(200_000, "z"))
    await eventually(() => {
      expect(b.accepted[0]?.heard.text.length).toBe(200_000 + 140)
      expect(a.accepted[0]?.heard.text.length).toBe(140)
    })
    expect(b.accepted[0]?.heard.text.startsWith("0,1,2,")).toBe(true)
    expect(a.accepted[0]?.heard.text.startsWith("0;1;2;")).toBe(true)
    b.accepted[0]?.lane.write(Buffer.from("back"))
    await eventually(() => expect(one.heard.text).toBe("back"))
  })

  it("closes a lane in order, after what was written, and keeps nothing of it", async () => {
    const { a, b } = makePair()
    for (let i = 0; i < 3 * maxLanes; i++) {
      const { lane, heard } = openLane(a)
      lane.write(Buffer.from("last words"))
      lane.close()
      await eventually(() => expect(heard.closed).toBe("in order"))
      expect(b.accepted[i]?.heard).toMatchObject({ text: "last words", closed: "in order" })
    }
  })

  it("breaks a lane for both sides, and leaves the others alone", async () => {
    const { a, b } = makePair()
    const broken = openLane(a)
    const kept = openLane(a)
    await eventually(() => expect(b.accepted.length).toBe(2))
    broken.lane.abort(new Error("enough"))
    expect(broken.heard.closed).toBe("enough")
    await eventually(() => expect(b.accepted[0]?.heard.closed).toBe("the peer broke it off"))
    kept.lane.write(Buffer.from("still here"))
    await eventually(() => expect(b.accepted[1]?.heard.text).toBe("still here"))
  })

  it("refuses a lane for a protocol that nobody speaks", async () => {
    const { a } = makePair()
    const lane = a.registry.open(peer, "/unheard/1")
    const heard = new Heard(lane!)
    await eventually(() => expect(heard.closed).toBe("the peer broke it off"))
  })

  it("has a limit of lanes", () => {
    const { a } = makePair()
    for (let i = 0; i < maxLanes; i++) openLane(a)
    expect(a.registry.open(peer, "/test/1")).toBeUndefined()
  })

  it("tells its lanes when it ends, and is not offered any more", async () => {
    const { a, b } = makePair()
    const { heard } = openLane(a)
    await eventually(() => expect(b.accepted.length).toBe(1))
    b.under.abort(new Error("cable cut"))
    await eventually(() => {
      expect(heard.closed).toBeDefined()
      expect(b.accepted[0]?.heard.closed).toBeDefined()
    })
    expect(a.registry.open(peer, "/test/1")).toBeUndefined()
  })

  it("ends when what comes is not genuine", async () => {
    const { a, b } = makePair()
    const { heard } = openLane(a)
    await eventually(() => expect(b.accepted.length).toBe(1))
    b.under.send(Buffer.alloc(64, 1))
    await eventually(() => expect(heard.closed).toBeDefined())
    expect(a.under.status).toBe("aborted")
  })

  it("ends when the peer opens lanes out of order", async () => {
    const { a, b } = makePair()
    openLane(a)
    await eventually(() => expect(b.accepted.length).toBe(1))
    // A lane of the listener's parity, opened by the dialler.
    a.sealed.sendOn(new Lane(2, a.sealed), laneKinds.open, Buffer.from("/test/1"))
    await eventually(() => expect(b.under.status).toBe("aborted"))
  })

  it("holds its writers back while the peer does not read, and lets them go on", async () => {
    const { a, b } = makePair(4)
    const { lane, heard } = openLane(a)
    await eventually(() => expect(b.accepted.length).toBe(1))
    b.accepted[0]!.lane.pause()
    let written = 0
    await eventually(() => {
      const room = lane.write(Buffer.alloc(1_000, "y"))
      written++
      expect(room).toBe(false)
    })
    expect(heard.drains).toBe(0)
    b.accepted[0]!.lane.resume()
    await eventually(() => expect(heard.drains).toBeGreaterThan(0))
    await eventually(() => expect(b.accepted[0]?.heard.text.length).toBe(written * 1_000))
  })
})
