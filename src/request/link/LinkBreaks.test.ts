/** What was said on an exchange before it broke off arrives, in order, at either end of a link. */
import { describe, expect, it } from "vitest"
import { accepted, noFields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  clientGone,
  httpCall,
  makeLinkPair,
  okHead,
  payments,
  postHead,
  Recorder,
  tcpCall
} from "../../testing/LinkTestPair.ts"

const broke: Fault = {
  code: "upstream_reset",
  message: "the program broke off",
  node: "host-b",
  service: payments,
  sent: true
}
const bytes = (text: string) => Buffer.from(text, "latin1")

describe("a fault after data", () => {
  it.each(["http", "tcp"])("of the same turn comes after it (%s)", (kind) => {
    const { dialed, pump, served } = makeLinkPair()
    const receiver = new Recorder()
    dialed.open(kind === "http" ? httpCall() : tcpCall(), receiver)
    pump.settle()
    const { receiver: back } = served[0]!
    back.onHead(kind === "http" ? okHead() : accepted)
    back.onData(bytes("last words"))
    back.onFault(broke)
    pump.settle()
    expect(receiver.text).toBe("last words")
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", node: "host-b" })
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("waits until a slow reader has taken what came before", () => {
    const { dialed, accepted: serving, pump, served } = makeLinkPair()
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    const { receiver: back } = served[0]!
    back.onHead(okHead())
    back.onData(bytes("first "))
    pump.settle()
    back.onData(bytes("second"))
    back.onFault(broke)
    pump.settle()
    expect(serving.stats().exchanges).toBe(0)
    expect(receiver.text).toBe("first ")
    expect(receiver.fault).toBeUndefined()
    receiver.more = () => true
    stream.resume()
    expect(receiver.text).toBe("first second")
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("follows data that waits for credit", () => {
    const window = { first: 1_000, least: 1_000, most: 1_000 }
    const { dialed, accepted: serving, pump, served } = makeLinkPair({ limits: { window } })
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    const { receiver: back } = served[0]!
    back.onHead(okHead())
    back.onData(bytes("x".repeat(5_000)))
    back.onFault(broke)
    pump.settle()
    expect(serving.stats().exchanges).toBe(1)
    receiver.more = () => true
    stream.resume()
    pump.settle()
    expect(receiver.bytes).toBe(5_000)
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
    expect(serving.stats().exchanges).toBe(0)
  })

  it("is forgotten when the caller gives up first", () => {
    const window = { first: 1_000, least: 1_000, most: 1_000 }
    const { dialed, accepted: serving, pump, served } = makeLinkPair({ limits: { window } })
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    const { receiver: back } = served[0]!
    back.onHead(okHead())
    back.onData(bytes("x".repeat(5_000)))
    back.onFault(broke)
    pump.settle()
    stream.cancel(clientGone)
    pump.settle()
    expect(receiver.fault).toBeUndefined()
    expect(dialed.stats().exchanges + serving.stats().exchanges).toBe(0)
  })

  it("of a link that breaks comes after what had come", () => {
    const { dialed, channels, pump, served } = makeLinkPair()
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    const { receiver: back } = served[0]!
    back.onHead(okHead())
    back.onData(bytes("first "))
    pump.settle()
    back.onData(bytes("second"))
    pump.settle()
    channels.cut(new Error("cable cut"))
    expect(receiver.fault).toBeUndefined()
    receiver.more = () => true
    stream.resume()
    expect(receiver.text).toBe("first second")
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
  })
})

describe("a caller that gives up after data", () => {
  it("leaves the endpoint what it had said into a tunnel", () => {
    const { dialed, pump, served } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(tcpCall(), receiver)
    stream.write(bytes("QUIT\n"))
    stream.cancel(clientGone)
    pump.settle()
    expect(served[0]?.text).toBe("QUIT\n")
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
    expect(receiver.fault).toBeUndefined()
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("leaves it the end of that too", () => {
    const { dialed, pump, served } = makeLinkPair()
    const stream = dialed.open(tcpCall(), new Recorder())
    stream.write(bytes("QUIT\n"))
    stream.end(noFields)
    stream.cancel(clientGone)
    pump.settle()
    expect(served[0]?.text).toBe("QUIT\n")
    expect(served[0]?.trailers).toEqual([])
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
  })

  it("waits for no credit: what the endpoint does not take is nobody's", () => {
    const window = { first: 1_000, least: 1_000, most: 1_000 }
    const { dialed, accepted: serving, pump, served } = makeLinkPair({ limits: { window } })
    const stream = dialed.open(tcpCall(), new Recorder())
    pump.settle()
    served[0]!.more = () => false
    stream.write(bytes("x".repeat(5_000)))
    stream.cancel(clientGone)
    pump.settle()
    expect(served[0]?.bytes).toBe(1_000)
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
    expect(dialed.stats().exchanges + serving.stats().exchanges).toBe(0)
  })

  it("is at once with a request, whose rest nobody wants", () => {
    const { dialed, pump, served } = makeLinkPair()
    const stream = dialed.open(httpCall(postHead()), new Recorder())
    pump.settle()
    stream.write(bytes("half of it"))
    stream.cancel(clientGone)
    pump.settle()
    expect(served[0]?.text).toBe("")
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
  })

  it("frees its exchange when the link breaks before that is sent", () => {
    const { dialed, channels, pump } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(tcpCall(), receiver)
    pump.settle()
    stream.write(bytes("QUIT\n"))
    stream.cancel(clientGone)
    channels.cut(new Error("cable cut"))
    pump.settle()
    expect(receiver.fault).toBeUndefined()
    expect(dialed.stats().exchanges).toBe(0)
  })
})

it("a tunnel whose program answers otherwise than by accepting ends the link", () => {
  const { dialed, pump, served } = makeLinkPair()
  const receiver = new Recorder()
  dialed.open(tcpCall(), receiver)
  pump.settle()
  served[0]?.receiver.onHead({ ...accepted, status: 404 })
  pump.settle()
  expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
})

describe("what throws as a link goes down", () => {
  const broken = new Error("thrown by the test")
  const breaks = (): never => {
    throw broken
  }

  it("in its owner keeps no exchange from its fault", () => {
    const { dialed, defects, pump } = makeLinkPair()
    const receiver = new Recorder()
    dialed.events = { onDraining: breaks, onDown: breaks }
    dialed.open(httpCall(), receiver)
    pump.settle()
    dialed.drain("by the test")
    dialed.abort(new Error("the network went away"))
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
    expect(defects).toEqual([broken, broken])
  })

  it("as what was gathered is written ends the link, and every exchange on it", () => {
    const { dialed, accepted: serving, channels, defects, pump, served } = makeLinkPair()
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    pump.settle()
    channels.left.write = breaks
    dialed.open(httpCall(), new Recorder())
    pump.settle()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
    expect(defects).toEqual([broken])
    expect(serving.stats().exchanges).toBe(0)
  })
})
