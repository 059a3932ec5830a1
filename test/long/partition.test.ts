/**
 * Twelve nodes in namespaces and three zones, cut into halves for a minute. Each half carries on by
 * itself, and changes; when they meet again they become one mesh that has all of it.
 *
 * All calls are GETs under default policies. None may fail, not even those that were on their way to
 * the other half when it was cut off: its silence breaks them off within 3 s, and they are made again
 * at an endpoint of the own half. How long things took is printed.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  appAddress,
  type NamespaceHost,
  NamespaceLoad,
  NamespaceMesh,
  type ToldTally
} from "../fixtures/NamespaceMesh.ts"
import { sleepFor, stopAll, until } from "../fixtures/Processes.ts"

const nodes = 12
const zones = ["a", "b", "c"]
/** The zone in the middle is cut in two as well. */
interface Half {
  readonly members: ReadonlyArray<number>
  readonly caller: number
  /** Have an endpoint of `stock`; the second is restarted, and calls from then on. */
  readonly endpoints: readonly [number, number]
  /** Offers something new while cut off. */
  readonly novelist: number
  readonly novelty: string
}
const left: Half = {
  members: [0, 1, 2, 3, 4, 5],
  caller: 2,
  endpoints: [1, 4],
  novelist: 3,
  novelty: "left-news"
}
const right: Half = {
  members: [6, 7, 8, 9, 10, 11],
  caller: 8,
  endpoints: [10, 7],
  novelist: 9,
  novelty: "right-news"
}
const halves = [left, right]
const endpoints = halves.flatMap((half) => half.endpoints)

/** How long the halves are cut, ms. */
const cutFor = 60_000
/**
 * From the cut until no call has anything to do with the other half any more, ms: a silent node is
 * found within 3 s of its last word, and who was called there then is called elsewhere; the rest is
 * for a busy machine.
 */
const grace = 6_000
/** Between two looks at a host, each of which is a process, ms. */
const looks = 250
/** Seconds for what takes as long as a busy host needs for it. */
const patience = 120

interface Row {
  readonly node: string
  readonly state: string
  readonly record: { readonly epoch: number; readonly version: number } | null
}

interface Judged {
  readonly node: string
  readonly ejectedUntilAt: number | null
  readonly breaker: string | null
}

const mesh = new NamespaceMesh(nodes)
const loads: Array<NamespaceLoad> = []
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
const hostsOf = ({ members }: Half): ReadonlyArray<NamespaceHost> =>
  members.map((index) => mesh.host(index))

const rowsOf = async (host: NamespaceHost) => (await host.api("members")) as ReadonlyArray<Row>
const aliveIn = (rows: ReadonlyArray<Row>) => rows.filter(({ state }) => state === "alive").length
const knows = async (host: NamespaceHost, ...services: ReadonlyArray<string>) => {
  const said = JSON.stringify(await host.api("services"))
  return services.every((service) => said.includes(`"${service}"`))
}

/** When all hosts have come to it, ms from `began`. */
const reached = async (
  what: string,
  began: number,
  hosts: ReadonlyArray<NamespaceHost>,
  probe: (host: NamespaceHost) => Promise<boolean>
): Promise<void> => {
  const each = hosts.map(async (host) => {
    const name = `${host.name}: ${what}`
    await until(name, async () => ((await probe(host)) ? true : sleepFor(looks)), patience)
    return performance.now() - began
  })
  const took = await Promise.all(each)
  const [first, last] = [Math.min(...took), Math.max(...took)]
  console.log(`${what}: from the first host, ${seconds(first)}, to the last, ${seconds(last)}`)
}

/** What went wrong with calls from anywhere, at any time. Nothing has to. */
const broken: Array<string> = []

/** What each load saw since the last time, by its host. */
const called = async (when: string): Promise<ReadonlyMap<number, ToldTally>> => {
  const tallies = new Map<number, ToldTally>()
  for (const load of loads) tallies.set(mesh.hosts.indexOf(load.host), await load.next())
  for (const [index, { by, failures, longest, ok, sent }] of tallies) {
    const what = `calls from host-${index} ${when}`
    const answers = Object.entries(by).map(([app, count]) => `${app} ${count}`)
    console.log(`${what}: ${sent}, the longest ${seconds(longest)}; by ${answers.join(", ")}`)
    if (ok !== sent) broken.push(`${what}: ${ok} of ${sent} went well; ${JSON.stringify(failures)}`)
  }
  return tallies
}

/** Each load has been answered by all endpoints, of both halves. */
const allCalled = async (when: string): Promise<void> => {
  const answered = new Map<number, ReadonlySet<string>>()
  await until(
    `all endpoints are called from both halves ${when}`,
    async () => {
      for (const [index, { by }] of await called(when)) {
        answered.set(index, new Set([...(answered.get(index) ?? []), ...Object.keys(by)]))
      }
      if ([...answered.values()].every(({ size }) => size === endpoints.length)) return true
      // A look costs a call's time at each load; some are called seldom, as others are nearer.
      return sleepFor(1_000)
    },
    patience
  )
  expect(broken).toEqual([])
}

const namesOf = (indices: ReadonlyArray<number>): ReadonlyArray<string> =>
  indices.map((index) => `app-${index}`).sort()

const isWhole = async (host: NamespaceHost) => {
  const rows = await rowsOf(host)
  return rows.length === nodes && aliveIn(rows) === nodes
}

const load = async (index: number): Promise<void> => {
  const begun = new NamespaceLoad(mesh.host(index), "http://stock.mesh/", 4, 20)
  loads.push(begun)
  await begun.begun()
}

beforeAll(async () => {
  const stock = [{ name: "stock", address: appAddress }]
  await mesh.make((index) => ({
    threads: 1,
    // By default one that was slow for a while is called seldom; here it is to be seen at once.
    policies: { stock: { balance: { kind: "round_robin" } } },
    zone: zones[Math.floor((index * zones.length) / nodes)] ?? "",
    ...(endpoints.includes(index) ? { services: stock } : {})
  }))
  const apps = [...endpoints, ...halves.map(({ novelist }) => novelist)]
  await Promise.all(apps.map((index) => mesh.app(index)))
  await mesh.up()
}, 300_000)

afterAll(async () => {
  await stopAll()
  await mesh.remove()
}, 60_000)

describe(`${nodes} nodes in ${zones.length} zones, cut into halves`, () => {
  it("are one mesh at first: each calls endpoints of both halves", async () => {
    await reached("one mesh", performance.now(), mesh.hosts, isWhole)
    await Promise.all(halves.map(({ caller }) => load(caller)))
    await allCalled("at first")
  })

  it("change on both sides while cut, and no call in either half fails", async () => {
    await called("before the cut")
    const began = performance.now()
    await mesh.namespaces.cut(right.members)
    await sleepFor(grace)
    await called(`in the first ${seconds(grace)} of the cut`)
    expect(broken).toEqual([])

    await Promise.all(
      halves.map(async (half) => {
        const novelist = mesh.host(half.novelist)
        const services = [{ name: half.novelty, address: appAddress }]
        novelist.options = { ...novelist.options, services }
        novelist.writeConfig()
        const asked = performance.now()
        novelist.process?.child.kill("SIGHUP")
        const what = `${half.novelty} is known in its half`
        await reached(what, asked, hostsOf(half), (host) => knows(host, half.novelty))
      })
    )
    await Promise.all(
      halves.map(async ({ endpoints: [, restarted] }) => {
        expect(await mesh.host(restarted).stop()).toBe(0)
        await mesh.host(restarted).up()
        await load(restarted)
      })
    )
    await reached("the other half is given up", began, mesh.hosts, async (host) => {
      const rows = await rowsOf(host)
      return rows.length === nodes && aliveIn(rows) === nodes / 2
    })
    await sleepFor(Math.max(0, cutFor - (performance.now() - began)))

    // They were cut, indeed.
    for (const half of halves) {
      const unknown = half === left ? right.novelty : left.novelty
      for (const host of hostsOf(half)) expect(await knows(host, unknown)).toBe(false)
    }
    const tallies = await called("while cut")
    expect(broken).toEqual([])
    for (const [index, { by }] of tallies) {
      const own = left.members.includes(index) ? left : right
      expect(Object.keys(by).sort()).toEqual(namesOf(own.endpoints))
    }
    console.log(`cut for ${seconds(performance.now() - began)}`)
  })

  it("are one mesh again that has the changes of both", async () => {
    const began = performance.now()
    await mesh.namespaces.heal()
    const merged = async (host: NamespaceHost) =>
      (await isWhole(host)) && (await knows(host, left.novelty, right.novelty))
    await reached("merged after the heal", began, mesh.hosts, merged)
    await until(
      "all catalogues are the same",
      async () => {
        const held = await Promise.all(
          mesh.hosts.map(async (host) => {
            const rows = await rowsOf(host)
            return JSON.stringify(
              rows.map(({ node, record }) => [node, record?.epoch, record?.version]).sort()
            )
          })
        )
        return new Set(held).size === 1 ? true : undefined
      },
      patience
    )
    console.log(`all catalogues the same after ${seconds(performance.now() - began)}`)
    await allCalled("after the heal")
    // What could not be reached while they were cut has not failed: nothing is held against it.
    for (const { host } of loads) {
      const all = (await host.api("services/stock/endpoints")) as ReadonlyArray<Judged>
      for (const { breaker, ejectedUntilAt, node } of all) {
        expect([node, ejectedUntilAt, breaker]).toEqual([node, null, "closed"])
      }
    }
    for (const host of mesh.hosts) {
      for (const { novelist, novelty } of halves) {
        expect(JSON.parse(await host.call(novelty))).toEqual({ app: `app-${novelist}` })
      }
    }
    await called("at last")
    expect(broken).toEqual([])
  })
})
