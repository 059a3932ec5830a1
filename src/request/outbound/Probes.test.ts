/** A half-open circuit takes the earliest evidence there is, and no request can hold it captive. */
import { describe, expect, it } from "vitest"
import { accepted, streamBody } from "../../model/Exchange.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"

const clientGone = {
  code: "client_gone",
  message: "the caller left",
  node: "here",
  service: payments,
  sent: true
} as const

/** All defaults but for retries, one endpoint, its circuit about to be probed. */
const opened = (protocol: "http" | "tcp" = "http"): Fixture => {
  const mesh = new Fixture({ retry: "off" }, [endpointView("a")], { protocol, random: () => 0.5 })
  for (let n = 0; n < 7; n++) {
    if (protocol === "http") mesh.request()
    else mesh.tunnel()
    mesh.last.fault("upstream_reset", true)
  }
  expect(state(mesh)).toBe("open")
  mesh.ticker.advance(1_000)
  return mesh
}
const state = (mesh: Fixture) => mesh.outbound.endpoints(payments)[0]?.breaker

/** Requests every 60 ms for so long; how many were refused. */
const refusals = (mesh: Fixture, millis: number): number => {
  const before = mesh.sent.length
  const count = Math.floor(millis / 60)
  for (let n = 0; n < count; n++) {
    mesh.ticker.advance(60)
    const sent = mesh.sent.length
    mesh.request()
    if (mesh.sent.length > sent) mesh.last.respond(200)
  }
  return count - (mesh.sent.length - before)
}

describe("a probe", () => {
  it("that is a long poll keeps the others out for its own time, not for the poll's", () => {
    const mesh = opened()
    const poll = mesh.request()
    const sent = mesh.last
    expect(refusals(mesh, 6_000)).toBeLessThanOrEqual(1_000 / 60 + 1)
    expect(state(mesh)).toBe("closed")
    sent.respond(200)
    expect(poll.receiver.head?.status).toBe(200)
  })

  it("that is a slow upload does not either", () => {
    const mesh = opened()
    const { stream } = mesh.request("POST", { body: true, head: { framing: streamBody } })
    stream.write(Buffer.from("x"))
    expect(refusals(mesh, 6_000)).toBeLessThanOrEqual(1_000 / 60 + 1)
    expect(state(mesh)).toBe("closed")
  })

  it("among long polls only is followed by one a second, until the first answers", () => {
    const mesh = opened()
    for (let n = 0; n < 6; n++) {
      mesh.request()
      expect(mesh.sent).toHaveLength(7 + n + 1)
      mesh.request()
      expect(mesh.sent).toHaveLength(7 + n + 1)
      expect(state(mesh)).toBe("half_open")
      mesh.ticker.advance(1_000)
    }
    mesh.sent[7]?.respond(200)
    expect(state(mesh)).toBe("closed")
    expect(mesh.counter("skein_breaker_transitions_total")).toMatchObject({
      [`${mesh.outbound.endpoints(payments)[0]?.key} half_open`]: 1
    })
  })

  it("is over with the head, however long the body takes", () => {
    const mesh = opened()
    mesh.request()
    mesh.last.head(200)
    expect(state(mesh)).toBe("closed")
  })

  it("of TCP is over when the program has accepted, also when it says nothing", () => {
    const mesh = opened("tcp")
    const { receiver } = mesh.tunnel()
    expect(state(mesh)).toBe("half_open")
    mesh.last.receiver.onHead(accepted)
    expect(state(mesh)).toBe("closed")
    expect(receiver.head?.status).toBe(200)
  })

  it("whose caller is slow or leaves says nothing: the next request is the probe", () => {
    const mesh = opened()
    const { stream } = mesh.request("POST", { body: true, head: { framing: streamBody } })
    stream.cancel(clientGone)
    expect(state(mesh)).toBe("open")
    mesh.request()
    expect(state(mesh)).toBe("half_open")
  })

  it("that is refused for what it asks says nothing either", () => {
    const mesh = opened()
    mesh.request()
    mesh.last.fault("bad_request", false)
    expect(state(mesh)).toBe("open")
    mesh.request()
    mesh.last.respond(200)
    expect(state(mesh)).toBe("closed")
  })
})
