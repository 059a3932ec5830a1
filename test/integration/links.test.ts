/**
 * What a link between two nodes does at its limits: a peer that falls silent without closing
 * anything, more calls than one link takes, and a flood beside small requests.
 */
import { get, type IncomingMessage, type ServerResponse } from "node:http"
import { connect, createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { Ledger, Orders } from "../fixtures/Orders.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const apps: Array<App> = []
/** Requests that wait for their answer until the test gives it, by path: one that was sent again is there twice. */
const held = new Map<string, Array<ServerResponse>>()
const sockets = new Set<Socket>()
/** Takes whatever comes, for ever. */
let sink: Server
let swallowed = 0
const ledger = new Ledger()
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

interface EndpointRow {
  readonly node: string
  readonly member: string
  readonly state: string
  readonly inUse: boolean
}

const endpointsOf = async (service: string) =>
  (await a.api(`services/${service}/endpoints`)) as ReadonlyArray<EndpointRow>

/** What host-a holds against host-b's endpoints: nothing, when it is empty. */
const heldAgainstB = async (): Promise<ReadonlyArray<EndpointRow>> => {
  const all = [...(await endpointsOf("echo")), ...(await endpointsOf("ledger"))]
  return all.filter(
    ({ inUse, member, node, state }) =>
      node === b.name && !(inUse && member === "alive" && state === "healthy")
  )
}

beforeAll(async () => {
  apps.push(await httpApp("on-b"), await httpApp("on-c"))
  for (let i = 0; i < 3; i++) {
    const hold = ({ url = "" }: IncomingMessage, response: ServerResponse) => {
      held.set(url, [...(held.get(url) ?? []), response])
    }
    apps.push(await httpApp("patient", hold))
  }
  const ledgers = [await ledger.program("on-b", 50), await ledger.program("on-c", 50)]
  const [ledgerOnB, ledgerOnC] = ledgers.map(({ address }) => address)
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
  apps.push(...ledgers)
  a = await mesh.first("host-a", {
    policies: {
      echo: { balance: { kind: "round_robin" } },
      ledger: { balance: { kind: "round_robin" } },
      patient: { balance: { kind: "round_robin" } }
    }
  })
  b = await mesh.join("host-b", {
    services: [
      { name: "echo", address: onB },
      { name: "small", address: onB },
      { name: "ledger", address: ledgerOnB },
      { name: "patient", addresses: patient },
      { name: "sink", address: `127.0.0.1:${sinkPort}` }
    ]
  })
  await mesh.join("host-c", {
    services: [
      { name: "echo", address: onC },
      { name: "ledger", address: ledgerOnC }
    ]
  })
  await until("host-a knows both endpoints of both services", async () => {
    const all = [...(await endpointsOf("echo")), ...(await endpointsOf("ledger"))]
    return all.length === 4 ? true : undefined
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
    const calls: Array<Promise<void>> = []
    /** What calls were answered, and how many of them so. */
    const answers = new Map<number | string | undefined, number>()
    const [hostname, port] = a.proxy.split(":")
    const ask = () =>
      new Promise<number | string | undefined>((resolve) => {
        const path = `http://patient.mesh/${calls.length}`
        const sent = get({ hostname, port, path, agent: false }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode))
        })
        sent.on("error", (cause) => resolve(cause.message))
      }).then((answer) => void answers.set(answer, (answers.get(answer) ?? 0) + 1))
    while (calls.length < count) {
      for (let i = 0; i < 100; i++) calls.push(ask())
      await until("all have reached a program", () => {
        if (held.size === calls.length) return true
        throw new Error(
          `${held.size} of ${calls.length}, answered: ${JSON.stringify([...answers])}`
        )
      })
    }
    expect(await linkTo(b)).toMatchObject({ state: "open", exchanges: count })
    for (const response of [...held.values()].flat()) response.end("at last")
    await Promise.all(calls)
    expect(answers).toEqual(new Map([[200, count]]))
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
  /** For so long host-b is watched after it is back, ms. */
  const watched = 3_000

  it("is found within 3 s, and its calls go elsewhere, none of them twice unless it may; when it wakes up it is called again, and stays", async () => {
    const load = new Load(a.proxy, "http://echo.mesh/")
    const orders = new Orders(a.proxy, "http://ledger.mesh/", 8)
    const answersOf = (app: string) => load.tally.by.get(app) ?? 0
    await until("both answer", () =>
      answersOf("on-b") > 50 && answersOf("on-c") > 50 ? true : undefined
    )
    // Its programs carry on. Of an order that one of them has, nobody can know whether it was
    // placed, and whoever tried it elsewhere would place it twice.
    await until("host-b's program has an order", () => {
      if (ledger.inHand("on-b") === 0) return undefined
      b.process?.child.kill("SIGSTOP")
      return true
    })
    const stopped = performance.now()
    const silence = await until("the link is given up", async () => {
      const said = /nothing came for (\d+) ms/.exec((await linkTo(b)).lastError ?? "")
      return said === null ? undefined : Number(said[1])
    })
    const givenUp = performance.now()
    // host-a looks every 500 ms, and leaves out of account what it was itself late by, from 250 ms.
    expect(silence).toBeGreaterThanOrEqual(2_500)
    expect(silence).toBeLessThanOrEqual(3_250)
    const before = answersOf("on-c")
    const ordersBefore = ledger.countOf("on-c")
    await until("host-c answers for both", () =>
      answersOf("on-c") > before + 100 && ledger.countOf("on-c") > ordersBefore + 20
        ? true
        : undefined
    )
    await until("host-b is taken for dead", async () =>
      (await endpointsOf("echo")).some(({ member, node }) => node === b.name && member === "dead")
        ? true
        : undefined
    )
    const moved = Math.max(...orders.failed.map(({ ended }) => ended)) - stopped
    console.log(
      `a host stopped: ${orders.failed.length} POSTs were broken off, and all succeed after ${moved.toFixed(0)} ms`
    )

    b.process?.child.kill("SIGCONT")
    const [asleep, ordersAsleep, woken] = [
      answersOf("on-b"),
      ledger.countOf("on-b"),
      performance.now()
    ]
    await until("host-b answers again, and nothing is held against it", async () =>
      answersOf("on-b") > asleep + 50 &&
      ledger.countOf("on-b") > ordersAsleep + 10 &&
      (await heldAgainstB()).length === 0
        ? true
        : undefined
    )
    const back = performance.now()
    console.log(`a host that goes on is called as before after ${(back - woken).toFixed(0)} ms`)
    const flaps: Array<EndpointRow> = []
    while (performance.now() < back + watched) flaps.push(...(await heldAgainstB()))
    expect(flaps).toEqual([])
    const { failures, ok, sent } = await load.stop()
    await orders.stop()
    expect([...failures]).toEqual([])
    expect(ok).toBe(sent)
    // Only what was sent to host-b before it was found silent was broken off; some of it was placed.
    expect(orders.failed.filter(({ begun }) => begun > givenUp)).toEqual([])
    expect(orders.failed.some(({ id }) => ledger.given.has(id))).toBe(true)
    expect(ledger.repeated).toEqual([])
    // What they had agreed on was minutes old.
    const metrics = await (await fetch(`http://${b.admin}/metrics`)).text()
    expect(metrics).toMatch(/^skein_resumptions_total\{.*result="resumed".*\} [1-9]/m)
    const well = orders.over.filter(({ why }) => why === undefined)
    expect(well.filter(({ id }) => !ledger.given.has(id))).toEqual([])
  })
})
