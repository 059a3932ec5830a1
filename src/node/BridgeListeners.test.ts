import { describe, expect, it } from "vitest"
import { formatHostPort } from "../config/HostPort.ts"
import type { NamedService } from "../dns/NameBook.ts"
import { ServiceName } from "../model/Names.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import { BridgeListeners, mostBridgePorts } from "./BridgeListeners.ts"

const service = (name: string, more: Partial<NamedService> = {}): NamedService => ({
  ...{ name: ServiceName.make(name), protocol: "http", port: 80, endpoints: 1, healthy: 1 },
  ...more
})
const bytes = (name: string, port: number) => service(name, { protocol: "tcp", port })

const make = () => {
  const world = { now: 0, told: [] as string[], events: [] as string[], failing: false }
  const listeners = new BridgeListeners({
    open: async (spec: ListenSpec) => {
      const text = `${spec.kind} ${formatHostPort(spec)}`
      if (world.failing) throw new Error(`no ${text}`)
      world.events.push(`open ${text}`)
      return {
        address: spec,
        stop: async () => {},
        drain: async (deadline) => void world.events.push(`drain ${text} ${deadline}`),
        close: () => void world.events.push(`close ${text}`)
      }
    },
    ...{ host: "172.17.0.1", as: undefined, suffix: "mesh", now: () => world.now },
    deadline: () => 7,
    onChange: (names) => void world.told.push(names.join()),
    warn: (message) => void world.events.push(message)
  })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { world, listeners, settled }
}

describe("listeners at a bridge", () => {
  it("share a port of HTTP, and give one of TCP to one service", async () => {
    const { listeners, world } = make()
    for (const name of ["a", "b", "a"]) {
      expect(await listeners.reach(service(name))).toBe("172.17.0.1")
    }
    await listeners.reach(bytes("c", 5432))
    await listeners.reach(bytes("c", 5432))
    expect(world.events).toEqual(["open proxy 172.17.0.1:80", "open tcp 172.17.0.1:5432"])
    expect(world.told).toEqual(["a", "a,b", "a,b,c"])
    await expect(listeners.reach(bytes("d", 5432))).rejects.toThrow("port 5432 is that of c there")
    await expect(listeners.reach(bytes("d", 80))).rejects.toThrow("port 80 is that of HTTP there")
    await expect(listeners.reach(service("e", { port: 5432 }))).rejects.toThrow("is that of c")
    await expect(listeners.reach(service("f", { port: undefined }))).rejects.toThrow("no port")
  })

  it("free what was a service's alone, when it moves or is gone", async () => {
    const { listeners, settled, world } = make()
    await listeners.reach(bytes("c", 5432))
    await listeners.reach(bytes("c", 5433))
    await settled()
    expect(world.events.slice(1)).toEqual([
      "open tcp 172.17.0.1:5433",
      "drain tcp 172.17.0.1:5432 7",
      "close tcp 172.17.0.1:5432"
    ])
    listeners.close(ServiceName.make("c"))
    await settled()
    expect(world.events.at(-1)).toBe("close tcp 172.17.0.1:5433")
    await listeners.reach(bytes("d", 5433))
    await listeners.reach(service("a"))
    listeners.close(ServiceName.make("a"))
    listeners.stop()
    await settled()
    expect(world.events.slice(-2)).toEqual([
      "close tcp 172.17.0.1:5433",
      "close proxy 172.17.0.1:80"
    ])
  })

  it("are tried again after a while where they failed, and have a limit", async () => {
    const { listeners, world } = make()
    world.failing = true
    await expect(listeners.reach(service("a"))).rejects.toThrow(
      "a.mesh cannot be called at 172.17.0.1: no proxy 172.17.0.1:80"
    )
    world.failing = false
    world.now = 4_999
    await expect(listeners.reach(service("a"))).rejects.toThrow()
    world.now = 5_000
    expect(await listeners.reach(service("a"))).toBe("172.17.0.1")
    for (let port = 1_000; port < 1_000 + mostBridgePorts - 1; port++) {
      await listeners.reach(bytes(`s-${port}`, port))
    }
    await expect(listeners.reach(bytes("last", 99))).rejects.toThrow("as many as there may be")
  })
})
