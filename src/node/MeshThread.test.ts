import { tmpdir } from "node:os"
import { expect, it } from "vitest"
import { until } from "../../test/fixtures/Processes.ts"
import { PeerKey } from "../model/Names.ts"
import type { PlaneSetup } from "../request/PlaneMessages.ts"
import { HostCounts } from "../request/policy/HostCounts.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { embeddedConfig } from "./Embedded.ts"
import { MeshThread } from "./MeshThread.ts"
import type { NodeFacts } from "./NodeMessages.ts"
import { ProgramPlane } from "./ProgramPlane.ts"

const peer = PeerKey.make("12D3KooWKF6X2KPTPHQSgDgd6jQNQ3rLyy9J3FJvguN8ugfxZVKh")

it("takes along what its request threads had of the host's connections, and not what the program's own plane has", async () => {
  const setup: PlaneSetup = {
    self: { peer, node: "program" },
    ...{ index: 0, threads: 3, sharePorts: false, defaultPolicy, accessLog: false, traces: false }
  }
  const facts: NodeFacts = {
    ...{ name: "program", peer, mesh: { id: "m", name: "m" }, listening: [], addresses: [] },
    ...{ admin: undefined, proxy: undefined, names: undefined, attach: [] },
    ...{ threads: 3, drainDeadline: 1_000 }
  }
  // The thread of a node that has started, and then breaks.
  const code = `
    import { parentPort, workerData } from "node:worker_threads"
    const { facts, setup } = ${JSON.stringify({ facts, setup })}
    parentPort.postMessage({ type: "plane.begin", setup })
    parentPort.postMessage({ type: "started", facts })
    parentPort.on("message", ({ type }) => {
      if (type === "stop") process.exit()
      if (type === "call" && workerData.restarts === 0) throw new Error("as the test has asked")
    })`
  const plane = new ProgramPlane({ log: () => undefined })
  const crashes: Array<string> = []
  let started = false
  const config = embeddedConfig({ node: { name: "program", dataDir: tmpdir() } })
  const start = { config, configPath: undefined, overrides: undefined, join: undefined }
  const thread = new MeshThread({
    file: new URL(`data:text/javascript,${encodeURIComponent(code)}`),
    start: { ...start, descriptors: undefined, beside: undefined, logFrom: 0 },
    ...{ plane, actors: () => undefined, onLog: () => undefined, lock: async () => undefined },
    onStarted: () => {
      started = true
    },
    onFailed: ({ message }) => crashes.push(message),
    onCrash: (reason) => crashes.push(reason)
  })
  try {
    await until("it has started", () => started || undefined)
    const counts = [0, 1, 2].map((index) =>
      new HostCounts(plane.memory.counts, index, 3).count("connections")
    )
    for (const count of counts) count.add(4)
    expect(counts[0]?.total).toBe(12)
    thread.ask("status", {}, () => undefined)
    await until("it has crashed", () => crashes[0])
    expect(crashes[0]).toContain("as the test has asked")
    expect(counts.map((count) => count.own)).toEqual([4, 0, 0])
  } finally {
    await thread.stop()
    plane.stop()
  }
})
