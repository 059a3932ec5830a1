/** What a failing endpoint costs those who call its service, without breaker: as programs count. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import type { IncomingMessage, ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load, type Tally } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

/** A program that answers as it is told. */
class Program {
  status = 200
  /** Milliseconds until it answers. */
  delay = 0
  retryAfter: string | undefined = undefined
  asked = 0
  readonly name: string
  app: App | undefined = undefined

  constructor(name: string) {
    this.name = name
  }

  async start(): Promise<void> {
    this.app = await httpApp(this.name, (_request: IncomingMessage, response: ServerResponse) => {
      const { name, retryAfter, status } = this
      this.asked++
      setTimeout(() => {
        response.statusCode = status
        if (status >= 400 && retryAfter !== undefined) response.setHeader("retry-after", retryAfter)
        response.end(`{"app":"${name}"}`)
      }, this.delay)
    })
  }

  get address(): string {
    return this.app?.address ?? ""
  }
}

const mesh = new TestMesh()
const one = new Program("one")
const two = new Program("two")
const three = new Program("three")
const programs = [one, two, three]
let a: Host

const bare = { breaker: "off", ejection: "off", retry: "off" }
const generous = { attempts: 2, budget: { ratio: 5, minPerSecond: 1_000 } }

beforeAll(async () => {
  for (const each of programs) await each.start()
  const nobody = async () => `127.0.0.1:${await freePort()}`
  a = await mesh.first("host-a", {
    threads: 2,
    policies: {
      "two-refuse": { ...bare, retry: generous, balance: { kind: "round_robin" } },
      "one-busy": {
        ...bare,
        retry: { ...generous, on: ["5xx"] },
        balance: { kind: "round_robin" }
      },
      fastest: { ...bare, balance: { kind: "p2c_ewma", decay: "2s" } },
      steady: { ...bare, balance: { kind: "p2c_ewma" } },
      pair: {
        ...bare,
        ejection: { base: "60s" },
        balance: { kind: "round_robin" }
      }
    }
  })
  const all = programs.map(({ address }) => address)
  await mesh.join("host-b", {
    services: [
      { name: "two-refuse", addresses: [await nobody(), one.address, await nobody()] },
      { name: "one-busy", addresses: all },
      { name: "fastest", addresses: all },
      { name: "steady", addresses: [one.address, two.address] },
      { name: "pair", addresses: [one.address, two.address] }
    ]
  })
  await until("host-a knows the services", async () =>
    JSON.stringify(await a.api("services")).includes("pair") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(programs.map(({ app }) => app?.close()))
  await stopAll()
})

const reset = () => {
  for (const each of programs) {
    each.status = 200
    each.delay = 0
    each.retryAfter = undefined
    each.asked = 0
  }
}

/** Load until so many answers have come. */
const answers = async (service: string, count: number, callers: number): Promise<Tally> => {
  const load = new Load(a.proxy, `http://${service}.mesh/`, callers)
  const heard = () => [...load.tally.failures.values()].reduce((sum, n) => sum + n, load.tally.ok)
  await until(`${count} answers`, () => (heard() >= count ? true : undefined), 60)
  return load.stop()
}

const status = async (service: string): Promise<number> => {
  const args = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", "-x", a.proxy]
  return Number((await run(program("curl"), [...args, `http://${service}.mesh/`])).stdout)
}

describe("retries", () => {
  it("find the one of three endpoints that anybody listens at", async () => {
    reset()
    const { failures, sent, ok } = await answers("two-refuse", 300, 5)
    expect([...failures]).toEqual([])
    expect(ok).toBe(sent)
  })

  it("find it for uploads of any size: nobody has been sent anything", async () => {
    reset()
    const folder = await mkdtemp(join(tmpdir(), "skein-upload-"))
    const file = join(folder, "upload")
    await writeFile(file, Buffer.alloc(300_000))
    const flags = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"]
    const upload = ["-H", "expect:", "--data-binary", `@${file}`]
    const seen: Array<string> = []
    for (let n = 0; n < 12; n++) {
      const to = ["-x", a.proxy, "http://two-refuse.mesh/"]
      seen.push((await run(program("curl"), [...flags, ...upload, ...to])).stdout)
    }
    await rm(folder, { recursive: true })
    expect(seen).toEqual(seen.map(() => "200"))
  })

  it("do not wait for one that asks for a minute beside others", async () => {
    reset()
    one.status = 503
    one.retryAfter = "60"
    const { failures } = await answers("one-busy", 200, 5)
    expect([...failures]).toEqual([])
    expect(one.asked).toBeGreaterThan(0)
  })
})

describe("p2c_ewma", () => {
  it("leaves an endpoint that fails at once, though the others are slow", async () => {
    reset()
    two.delay = 150
    three.delay = 150
    one.delay = 150
    await answers("fastest", 60, 6)
    one.status = 500
    one.delay = 0
    await until("the sick one gets less than a tenth", async () => {
      const before = one.asked
      const { sent } = await answers("fastest", 100, 6)
      return one.asked - before < sent / 10 ? true : undefined
    })
  })

  it("does not leave an endpoint for a few failures", async () => {
    reset()
    one.delay = 25
    two.delay = 25
    // One answer that the machine held up is bad news of its program for a while.
    await until("each of them gets a fair share", async () => {
      const { by, ok } = await answers("steady", 200, 8)
      return Math.abs((by.get("one") ?? 0) / ok - 0.5) < 0.2 ? true : undefined
    })
    one.status = 503
    const load = new Load(a.proxy, "http://steady.mesh/", 8)
    await until("a failure", () => (load.tally.failures.size > 0 ? true : undefined))
    one.status = 200
    await load.stop()
    const { by, ok } = await answers("steady", 200, 8)
    expect((by.get("one") ?? 0) / ok).toBeGreaterThan(0.1)
  })
})

describe("ejection of one of two", () => {
  it("is over when the other fails and it is well", async () => {
    reset()
    one.status = 500
    for (let i = 0; i < 10; i++) await status("pair")
    const out = one.asked
    expect(await status("pair")).toBe(200)
    expect(one.asked).toBe(out)
    one.status = 200
    two.status = 500
    let failed = 0
    for (let i = 0; i < 40; i++) if ((await status("pair")) !== 200) failed++
    expect(failed).toBeLessThanOrEqual(15)
    expect(await status("pair")).toBe(200)
  })
})
