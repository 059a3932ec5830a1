/** Where programs attach: what of it goes by a clock. */
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { MeshViewSource } from "../model/MeshView.ts"
import { MeshId, NodeName, PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { AttachedPrograms } from "./AttachedPrograms.ts"
import { makeProgramDoor, newSecret } from "./ProgramDoor.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-door-"))
const path = join(directory, "programs.sock")
const scope = Effect.runSync(Scope.make())
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(directory, { recursive: true, force: true })
})

const never = () => undefined
const config = makeNodeConfig({
  node: { dataDir: directory, listen: ["/ip4/127.0.0.1/tcp/0"] },
  programs: [{ listen: `unix:${path}` }]
})

/** Says a line, and hears one for each. */
const talk = async () => {
  const socket = net.connect({ path })
  const lines: Array<string> = []
  let rest = ""
  let heard = never as () => void
  socket.on("data", (bytes) => {
    const parts = (rest + bytes.toString()).split("\n")
    rest = parts.pop() ?? ""
    lines.push(...parts)
    heard()
  })
  const say = async (line: object): Promise<unknown> => {
    socket.write(`${JSON.stringify(line)}\n`)
    while (lines.length === 0) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    return JSON.parse(lines.shift() ?? "")
  }
  await say({ skein: "program", versions: [1, 1], role: "control", name: "test" })
  return { say, end: () => socket.destroy() }
}

describe("where programs attach", () => {
  it("takes what they serve however the wall clock is set", async () => {
    let wall = 1_800_000_000_000
    const programs = new AttachedPrograms({ secret: newSecret, taken: () => new Set() })
    await Effect.runPromise(
      Scope.extend(
        makeProgramDoor({
          config: config.programs,
          self: {
            node: NodeName.make("host-a"),
            peer: PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M"),
            mesh: MeshId.make("00112233445566778899aabbccddeeff")
          },
          ...{ programs, threads: 1, metrics: new MetricRegistry(), log: never },
          open: async () => ({
            address: { host: "127.0.0.1", port: 1 },
            close: never,
            stop: async () => undefined,
            drain: async () => undefined
          }),
          ...{ drainDeadline: () => 0, isDraining: () => false, holdsToken: () => true },
          ...{
            tell: never,
            offer: Effect.void,
            whyNotServed: never,
            awaitService: () => Effect.never
          },
          view: new MeshViewSource(),
          onDefect: (error) => {
            throw error
          },
          ticker: {
            wall: () => wall,
            now: () => performance.now(),
            random: Math.random,
            after: () => ({ cancel: never })
          }
        }),
        scope
      )
    )
    const { end, say } = await talk()
    const served = () => programs.all()[0]?.offers.map(({ service }) => service)
    const serve = (id: number, service: string) => {
      const offer = { service, id: "1", weight: 100, healthy: true, reason: "" }
      return say({ type: "serve", id, offers: [offer] })
    }
    expect(await serve(1, "stock")).toEqual({ type: "answer", id: 1, refused: [] })
    expect(served()).toEqual(["stock"])
    wall -= 3_600_000
    expect(await serve(2, "payments")).toEqual({ type: "answer", id: 2, refused: [] })
    expect(served()).toEqual(["payments"])
    end()
  })
})
