/**
 * A program has as many connections as its node may make to it, whoever calls: those of a caller come by one link,
 * which leads to one of the node's request threads.
 */
import { createServer, get, type Server, type ServerResponse } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Inspector, inspected } from "../fixtures/Inspector.ts"
import { build, type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const limit = 1_024
const threads = 4
const mesh = new TestMesh()
/** Requests that wait for their answer until the test gives it, by caller. */
const held = new Map<string, Array<ServerResponse>>()
/** Connections that the program has; the most it ever had. */
let open = 0
let most = 0
let program: Server
let a: Host
let b: Host
let c: Host

const heldOf = ({ name }: Host) => held.get(name)?.length ?? 0

class Calls {
  readonly #proxy: string
  readonly #name: string
  readonly all: Array<Promise<void>> = []
  /** What was answered, and how many times. */
  readonly answers = new Map<number | string | undefined, number>()
  readonly texts = new Set<string>()

  constructor(host: Host) {
    this.#proxy = host.proxy
    this.#name = host.name
  }

  /** All of them, and none is answered. */
  async reach(count: number): Promise<void> {
    const before = held.get(this.#name)?.length ?? 0
    for (let made = 100; made <= count; made += 100) {
      this.make(100)
      await until("all have reached the program", () => {
        const reached = (held.get(this.#name)?.length ?? 0) - before
        if (reached === made) return true
        throw new Error(`${reached} of ${made}, answered: ${JSON.stringify([...this.answers])}`)
      })
    }
  }

  make(count: number): void {
    for (let i = 0; i < count; i++) {
      this.all.push(
        this.#ask().then((answer) => {
          this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
        })
      )
    }
  }

  #ask(): Promise<number | string | undefined> {
    const [hostname, port] = this.#proxy.split(":")
    return new Promise((resolve) => {
      const path = `http://patient.mesh/${this.#name}`
      const sent = get({ hostname, port, path, agent: false }, (response) => {
        response.setEncoding("utf8")
        let text = ""
        response.on("data", (chunk: string) => {
          text += chunk
        })
        response.on("end", () => {
          if (response.statusCode !== 200) this.texts.add(text)
          resolve(response.statusCode)
        })
      })
      sent.on("error", (cause) => resolve(cause.message))
    })
  }
}

/** Of all request threads of host-b. */
const endpointOfB = async () => {
  const text = await (await fetch(`http://${b.admin}/metrics`)).text()
  const of = (name: string) =>
    Number(new RegExp(`^skein_inbound_endpoint_${name}\\{.*\\} (\\d+)`, "m").exec(text)?.[1])
  return { connections: of("connections"), waiting: of("waiting") }
}

beforeAll(async () => {
  program = createServer((request, response) => {
    const caller = request.url?.slice(1) ?? ""
    held.set(caller, [...(held.get(caller) ?? []), response])
  })
  program.on("connection", (socket) => {
    most = Math.max(most, ++open)
    socket.on("close", () => open--)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => program.listen(port, "127.0.0.1", 2_048, resolve))
  // Who waits is to wait as long as is said here, and once.
  const patient = (connect: string) => ({
    policies: { patient: { timeout: { connect }, retry: "off", breaker: "off", ejection: "off" } }
  })
  a = await mesh.first("host-a", { threads: 1, ...patient("2s") })
  const built = await build()
  b = await mesh.join("host-b", {
    ...{ ...built, runtime: [...(built.runtime ?? []), inspected], threads },
    services: [{ name: "patient", address: `127.0.0.1:${port}` }]
  })
  c = await mesh.join("host-c", { threads: 1, ...patient("60s") })
  for (const caller of [a, c]) {
    await until(`${caller.name} knows the service`, async () => {
      const endpoints = (await caller.api("services/patient/endpoints")) as ReadonlyArray<unknown>
      return endpoints.length === 1 ? true : undefined
    })
  }
})

afterAll(async () => {
  await mesh.stop()
  program.closeAllConnections()
  program.close()
  await stopAll()
})

describe("a program of a host with four request threads", () => {
  it("has all of its connections for one caller, no more of them, and then for another", async () => {
    const ofA = new Calls(a)
    await ofA.reach(900)
    ofA.make(200)
    await until("the rest was told that there is no room", () =>
      ofA.answers.get(503) === 1_100 - limit ? true : undefined
    )
    expect([heldOf(a), open, most]).toEqual([limit, limit, limit])
    const [text] = ofA.texts
    expect(text).toContain("overflow")
    expect(text).toMatch(
      new RegExp(`has ${limit} connections in use and none came free within \\d+ ms`)
    )

    const ofC = new Calls(c)
    ofC.make(50)
    await until("another caller's calls wait", async () =>
      (await endpointOfB()).waiting === 50 ? true : undefined
    )
    expect([heldOf(c), open, most]).toEqual([0, limit, limit])
    // What the first caller does not use any more is kept for it, but for this.
    for (const response of held.get(a.name)?.splice(0, 100) ?? []) response.end("at last")
    await until("the other caller's calls have reached the program", () =>
      heldOf(c) === 50 ? true : undefined
    )
    expect((await endpointOfB()).connections).toBeLessThanOrEqual(limit)
    for (const response of [...held.values()].flat()) response.end("at last")
    held.clear()
    await Promise.all([...ofA.all, ...ofC.all])
    expect(ofA.answers).toEqual(
      new Map([
        [503, 1_100 - limit],
        [200, limit]
      ])
    )
    expect(ofC.answers).toEqual(new Map([[200, 50]]))
  })

  it("has them for others, when the threads that had them have crashed", async () => {
    const [ofA, ofC] = [new Calls(a), new Calls(c)]
    await ofA.reach(700)
    const inspector = await Inspector.open(b)
    for (let thread = 0; thread < threads; thread++) {
      await inspector.crash(thread, "crashed by the test")
      await until("the thread runs again", async () => {
        // The admin API's own Schema says so.
        const status = (await b.api("status")) as {
          readonly threads: ReadonlyArray<{ readonly restarts: number; readonly state: string }>
        }
        const { restarts, state } = status.threads[thread] ?? {}
        return restarts === 1 && state === "running" ? true : undefined
      })
    }
    inspector.close()
    await Promise.all(ofA.all)
    expect(ofA.answers.get(200)).toBeUndefined()
    await ofC.reach(900)
    for (const response of [...held.values()].flat()) response.end("at last")
    await Promise.all(ofC.all)
    expect(ofC.answers).toEqual(new Map([[200, 900]]))
  })
})
