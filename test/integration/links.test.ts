/**
 * What a link between two nodes does at its limits: a peer that falls silent without closing
 * anything, more calls than one link takes, and a flood beside small requests.
 */
import { get, type ServerResponse } from "node:http"
import { connect, createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const apps: Array<App> = []
/** Requests that wait for their answer until the test gives it. */
const held = new Set<ServerResponse>()
const sockets = new Set<Socket>()
/** Takes whatever comes, for ever. */
let sink: Server
let swallowed = 0
let a: Host
let b: Host

interface LinkRow {
  readonly node: string
  readonly state: string
  readonly exchanges: number
  readonly lastError: string | null
}

const linkTo = async (host: Host): Promise<LinkRow> => {
  const links = (await a.api("links")) as ReadonlyArray<LinkRow>
  const found = links.find(({ node }) => node === host.name)
  if (found === undefined) throw new Error(`no link to ${host.name}`)
  return found
}

beforeAll(async () => {
  apps.push(await httpApp("on-b"), await httpApp("on-c"))
  for (let i = 0; i < 3; i++) {
    apps.push(await httpApp("patient", (_request, response) => void held.add(response)))
  }
  sink = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("data", (chunk) => {
      swallowed += chunk.length
    })
  })
  const sinkPort = await freePort()
  await new Promise<void>((resolve) => sink.listen(sinkPort, "127.0.0.1", resolve))
  const [onB, onC, ...patient] = apps.map(({ address }) => address)
  a = await mesh.first("host-a", {
    policies: {
      echo: { balance: { kind: "round_robin" } },
      patient: { balance: { kind: "round_robin" } }
    }
  })
  b = await mesh.join("host-b", {
    services: [
      { name: "echo", address: onB },
      { name: "small", address: onB },
      { name: "patient", addresses: patient },
      { name: "sink", address: `127.0.0.1:${sinkPort}` }
    ]
  })
  await mesh.join("host-c", { services: [{ name: "echo", address: onC }] })
  await until("host-a knows both endpoints of echo", async () => {
    const endpoints = (await a.api("services/echo/endpoints")) as ReadonlyArray<unknown>
    return endpoints.length === 2 ? true : undefined
  })
})

afterAll(async () => {
  b.process?.child.kill("SIGCONT")
  await mesh.stop()
  for (const socket of sockets) socket.destroy()
  sink.close()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe("more calls at once than a link takes", () => {
  /** A link takes 2,048. Each of the three programs has 1,024 connections at most. */
  const count = 2_600

  it("are all carried, by another link", async () => {
    const statuses: Array<Promise<number | string | undefined>> = []
    const [hostname, port] = a.proxy.split(":")
    const ask = () =>
      new Promise<number | string | undefined>((resolve) => {
        const path = "http://patient.mesh/"
        const sent = get({ hostname, port, path, agent: false }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode))
        })
        sent.on("error", (cause) => resolve(cause.message))
      })
    while (statuses.length < count) {
      for (let i = 0; i < 100; i++) statuses.push(ask())
      await until("all have reached a program", () =>
        held.size === statuses.length ? true : undefined
      )
    }
    expect(await linkTo(b)).toMatchObject({ state: "open", exchanges: count })
    for (const response of held) response.end("at last")
    expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]))
    await until("nothing is left", async () =>
      (await linkTo(b)).exchanges === 0 ? true : undefined
    )
  })
})

describe("an upload without end", () => {
  const chunk = Buffer.alloc(256 * 1024)

  const upload = (): Socket => {
    const socket = connect({ port: Number(a.proxy.split(":")[1]), host: "127.0.0.1" })
    sockets.add(socket)
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk)) {
        // until it does not take more
      }
    }
    socket.on("drain", pump)
    socket.on("error", () => socket.destroy())
    socket.write(`POST / HTTP/1.1\r\nHost: sink.mesh\r\nContent-Length: ${2 ** 50}\r\n\r\n`)
    pump()
    return socket
  }

  it("and small requests over the same link go on side by side", async () => {
    const socket = upload()
    await until("the flood flows", () => (swallowed > 50 * chunk.length ? true : undefined))
    /** Bytes of the flood that arrived while each small request was answered. */
    const passed: Array<number> = []
    const [hostname, port] = a.proxy.split(":")
    for (let i = 0; i < 300; i++) {
      const before = swallowed
      const status = await new Promise((resolve, reject) => {
        const headers = { host: "small.mesh" }
        get({ hostname, port, headers }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode))
        }).on("error", reject)
      })
      expect(status).toBe(200)
      passed.push(swallowed - before)
    }
    const before = swallowed
    await until("the flood still flows", () =>
      swallowed > before + chunk.length ? true : undefined
    )
    socket.destroy()
    passed.sort((x, y) => x - y)
    // What the flood may have under way is a window of 1 MiB; a small request waits for no more.
    expect(passed[150]).toBeLessThan(4 * 1024 * 1024)
  })
})

describe("a node that falls silent", () => {
  it("is found within 3 s, and its calls go elsewhere; when it wakes up it is called again", async () => {
    const load = new Load(a.proxy, "http://echo.mesh/")
    const answersOf = (app: string) => load.tally.by.get(app) ?? 0
    await until("both answer", () =>
      answersOf("on-b") > 50 && answersOf("on-c") > 50 ? true : undefined
    )
    b.process?.child.kill("SIGSTOP")
    const silence = await until("the link is given up", async () => {
      const said = /nothing came for (\d+) ms/.exec((await linkTo(b)).lastError ?? "")
      return said === null ? undefined : Number(said[1])
    })
    // host-a looks every 500 ms, and leaves out of account what it was itself late by, from 250 ms.
    expect(silence).toBeGreaterThanOrEqual(2_500)
    expect(silence).toBeLessThanOrEqual(3_250)
    const before = answersOf("on-c")
    await until("host-c answers for both", () =>
      answersOf("on-c") > before + 100 ? true : undefined
    )
    b.process?.child.kill("SIGCONT")
    const asleep = answersOf("on-b")
    await until("host-b answers again", () => (answersOf("on-b") > asleep + 50 ? true : undefined))
    const { failures, ok, sent } = await load.stop()
    expect([...failures]).toEqual([])
    expect(ok).toBe(sent)
  })
})
