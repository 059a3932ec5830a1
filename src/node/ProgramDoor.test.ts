/** Where programs attach: what of it goes by a clock. */
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { MeshViewSource } from "../model/MeshView.ts"
import { MeshId, NodeName, PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { maxAsked } from "../schema/ProgramTalkSchema.ts"
import { actorReport } from "../testing/ActorReportFixture.ts"
import { AttachedPrograms } from "./AttachedPrograms.ts"
import { makeProgramDoor, newSecret, type ProgramDoor } from "./ProgramDoor.ts"

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
const talk = async (versions: readonly [number, number] = [1, 1]) => {
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
    return hear()
  }
  const hear = async (): Promise<unknown> => {
    while (lines.length === 0) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    return JSON.parse(lines.shift() ?? "")
  }
  await say({ skein: "program", versions, role: "control", name: "test" })
  const tell = (line: object): void => void socket.write(`${JSON.stringify(line)}\n`)
  return { say, hear, tell, end: () => socket.destroy() }
}

let wall = 1_800_000_000_000
const programs = new AttachedPrograms({ secret: newSecret, taken: () => new Set() })
let door: ProgramDoor

beforeAll(async () => {
  door = await Effect.runPromise(
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
})

describe("where programs attach", () => {
  it("takes what they serve however the wall clock is set", async () => {
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

describe("programs that are asked how their actors fare", () => {
  const offer = { service: "actor-cart", id: "1", weight: 100, healthy: true, reason: "" }
  /** Attached by these versions, and it serves carts. */
  const attached = async (versions: readonly [number, number]) => {
    const program = await talk(versions)
    await program.say({ type: "serve", id: 1, offers: [offer] })
    const asked = door.asked().find(({ services }) => services.includes("actor-cart"))
    if (asked === undefined) throw new Error("it is not attached")
    /** What comes of asking it. */
    const ask = () => {
      const answer = Promise.withResolvers<unknown>()
      const forget = asked.ask({ type: "Cart" }, answer.resolve)
      return { answer: answer.promise, forget }
    }
    const gone = () =>
      vi.waitFor(() => expect(door.asked().some(({ services }) => services.length > 0)).toBe(false))
    return { ...program, ask, gone }
  }

  it("answer by the question's number; what nobody waits for, and what is no answer, is passed over", async () => {
    const { ask, end, gone, hear, tell } = await attached([1, 3])
    const first = ask()
    expect(await hear()).toEqual({ type: "actors", id: 1, question: { type: "Cart" } })
    const second = ask()
    expect(await hear()).toMatchObject({ type: "actors", id: 2 })
    first.forget()
    const reports = [actorReport("k", 3)]
    tell({ type: "actors", id: 1, reports })
    tell({ type: "actors", id: 2, reports: "none" })
    tell({ type: "actors", id: 2, reports })
    expect(await second.answer).toEqual(reports)
    const third = ask()
    end()
    expect(await third.answer).toEqual({ reason: "it has gone" })
    await gone()
  })

  it("are not asked where their release does not answer, or while they leave too much open", async () => {
    const older = await attached([1, 2])
    expect(await older.ask().answer).toEqual({
      reason: "its library is of a release that does not answer this: upgrade it"
    })
    older.end()
    await older.gone()
    const stuck = await attached([1, 3])
    for (let i = 0; i < maxAsked; i++) stuck.ask()
    expect(await stuck.ask().answer).toEqual({ reason: "it does not answer" })
    stuck.end()
    await stuck.gone()
  })
})
