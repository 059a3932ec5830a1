import { describe, expect, it } from "vitest"
import { endpointView, Fixture, microtasks } from "../../testing/OutboundFixture.ts"

const all = [
  endpointView("a"),
  endpointView("b", { draining: true }),
  endpointView("c", { healthy: false })
]
const keyOf = (letter: string): string => endpointView(letter).key

describe("a call that names its endpoint", () => {
  it("goes there and nowhere else, whatever its owner says of it", () => {
    const mesh = new Fixture({}, all)
    for (const letter of ["b", "c", "a", "b"]) {
      mesh.request("GET", { only: keyOf(letter) })
      mesh.last.respond(200)
    }
    expect(mesh.trail).toBe("bcab")
  })

  it("is refused where there is none by that name, with nothing sent", async () => {
    const mesh = new Fixture({}, all)
    const { receiver } = mesh.request("GET", { only: keyOf("d") })
    await microtasks()
    expect(receiver.fault).toMatchObject({ code: "no_healthy_endpoint", sent: false })
    expect(receiver.fault?.message).toContain(`${keyOf("d")}, the only one that may be asked`)
    expect(mesh.trail).toBe("")
  })

  it("is not repeated: whoever named the endpoint knows when that is worth while", async () => {
    const mesh = new Fixture({ retry: { attempts: 3 } }, all)
    const { receiver } = mesh.request("GET", { only: keyOf("a") })
    mesh.last.fault("upstream_connect", false)
    await microtasks()
    expect(receiver.fault?.code).toBe("upstream_connect")
    expect(mesh.trail).toBe("a")
  })

  it("is refused while the endpoint's circuit is open", async () => {
    const mesh = new Fixture({ breaker: { consecutiveFailures: 2 }, retry: "off" }, all)
    for (let i = 0; i < 2; i++) {
      mesh.request("GET", { only: keyOf("a") })
      mesh.last.respond(503)
    }
    const { receiver } = mesh.request("GET", { only: keyOf("a") })
    await microtasks()
    expect(receiver.fault?.message).toContain("has an open circuit")
  })

  it("goes past an open circuit where it says so, and neither closes it nor is its probe", async () => {
    const mesh = new Fixture({ breaker: { consecutiveFailures: 2 }, retry: "off" }, all)
    for (let i = 0; i < 2; i++) {
      mesh.request("GET", { only: keyOf("a") })
      mesh.last.respond(503)
    }
    const { receiver } = mesh.request("GET", { only: keyOf("a"), pastCircuit: true })
    mesh.last.respond(200)
    expect(receiver.fault).toBeUndefined()
    expect(mesh.trail).toBe("aaa")
    const other = mesh.request("GET", { only: keyOf("a") })
    await microtasks()
    expect(other.receiver.fault?.message).toContain("has an open circuit")
  })
})
