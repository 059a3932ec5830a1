import { describe, expect, it } from "vitest"
import { formatHostPort } from "../config/HostPort.ts"
import type { NamedService } from "../dns/NameBook.ts"
import { ServiceName } from "../model/Names.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import { mostNames, NameListeners } from "./NameListeners.ts"

const service = (name: string, more: Partial<NamedService> = {}): NamedService => ({
  ...{ name: ServiceName.make(name), protocol: "http", port: 80, endpoints: 1, healthy: 1 },
  ...more
})

const make = () => {
  const world = {
    now: 0,
    told: [] as string[],
    events: [] as string[],
    failing: new Set<string>(),
    specs: [] as ListenSpec[],
    addresses: new Map<string, string>([
      ["a", "127.80.0.1"],
      ["b", "127.80.0.2"]
    ])
  }
  const listeners = new NameListeners({
    open: async (spec: ListenSpec) => {
      const text = `${spec.kind} ${formatHostPort(spec)}`
      if (world.failing.has(spec.host)) throw new Error(`no ${text}`)
      world.events.push(`open ${text}`)
      world.specs.push(spec)
      return {
        address: spec,
        stop: async () => void world.events.push(`stop ${text}`),
        drain: async (deadline) => void world.events.push(`drain ${text} ${deadline}`),
        close: () => void world.events.push(`close ${text}`)
      }
    },
    addresses: { addressOf: (name) => world.addresses.get(name) ?? "127.80.9.9" },
    now: () => world.now,
    deadline: () => 7,
    suffix: "mesh",
    grpcWeb: ["https://shop.example"],
    onChange: (names) => void world.told.push(names.join()),
    warn: (message) => void world.events.push(message)
  })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { world, listeners, settled }
}

describe("listeners of names", () => {
  it("are opened when a name is first asked for, and once", async () => {
    const { listeners, world } = make()
    const both = [listeners.reach(service("a")), listeners.reach(service("a"))]
    expect(await Promise.all(both)).toEqual(["127.80.0.1", "127.80.0.1"])
    expect(await listeners.reach(service("b", { protocol: "tcp", port: 5432 }))).toBe("127.80.0.2")
    expect(world.events).toEqual(["open http 127.80.0.1:80", "open tcp 127.80.0.2:5432"])
    expect(listeners.count).toBe(2)
    expect(world.specs[0]).toMatchObject({ names: ["a.mesh"], grpcWeb: ["https://shop.example"] })
    expect(world.told).toEqual(["a", "a,b"])
  })

  it("move with what the service says, and drain when nobody offers it", async () => {
    const { listeners, settled, world } = make()
    await listeners.reach(service("a"))
    await listeners.reach(service("a", { port: 81 }))
    await settled()
    expect(world.events).toEqual([
      "open http 127.80.0.1:80",
      "stop http 127.80.0.1:80",
      "drain http 127.80.0.1:80 7",
      "close http 127.80.0.1:80",
      "open http 127.80.0.1:81"
    ])
    world.events.length = 0
    listeners.close(ServiceName.make("a"))
    await settled()
    expect(world.events).toEqual([
      "stop http 127.80.0.1:81",
      "drain http 127.80.0.1:81 7",
      "close http 127.80.0.1:81"
    ])
    expect(listeners.count).toBe(0)
  })

  it("give way to the service whose address it is now", async () => {
    const { listeners, world } = make()
    await listeners.reach(service("b"))
    world.addresses.set("a", "127.80.0.2").set("b", "127.80.0.3")
    expect(await listeners.reach(service("a"))).toBe("127.80.0.2")
    expect(world.events.slice(0, 2)).toEqual(["open http 127.80.0.2:80", "stop http 127.80.0.2:80"])
    expect(world.events.at(-1)).not.toContain("127.80.0.3")
    expect(await listeners.reach(service("b"))).toBe("127.80.0.3")
  })

  it("that cannot be are told once in a while, and tried again", async () => {
    const { listeners, world } = make()
    world.failing.add("127.80.0.1")
    await expect(listeners.reach(service("a"))).rejects.toThrow("no http 127.80.0.1:80")
    await expect(listeners.reach(service("a"))).rejects.toThrow("no http 127.80.0.1:80")
    expect(world.events).toEqual([
      "a.mesh cannot be called by its name on this host: no http 127.80.0.1:80"
    ])
    world.failing.clear()
    await expect(listeners.reach(service("a"))).rejects.toThrow("no http 127.80.0.1:80")
    world.now = 5_000
    expect(await listeners.reach(service("a"))).toBe("127.80.0.1")
  })

  it("are no more than there may be", async () => {
    const { listeners, world } = make()
    for (let index = 0; index < mostNames; index++) {
      const name = `s-${index}`
      world.addresses.set(name, `127.81.${index >> 8}.${index & 255}`)
      await listeners.reach(service(name))
    }
    const told = () => world.events.filter((event) => event.includes("as many as there may be"))
    for (const now of [0, 1, 4_999, 5_000]) {
      world.now = now
      await expect(listeners.reach(service("a"))).rejects.toThrow("as many as there may be")
    }
    expect(told()).toHaveLength(2)
    listeners.close(ServiceName.make("s-7"))
    expect(await listeners.reach(service("a"))).toBe("127.80.0.1")
    listeners.stop()
    expect(listeners.count).toBe(0)
  })
})
