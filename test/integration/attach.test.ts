/**
 * Programs attached to their host's node, as processes of their own: examples/attach on Node and on Deno, on a
 * node with two request threads, while programs and node are killed, stopped and started again.
 */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Inspector, inspected } from "../fixtures/Inspector.ts"
import { build, type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { type Running, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const deno = join(root, "node_modules", ".bin", "deno")
const example = join(root, "examples", "attach", "main.ts")
const socket = `unix:${join(mesh.directory, "programs.sock")}`
let host: Host
let other: Host
let onNode: Running
let onDeno: Running

const get = async (from = host, ...args: ReadonlyArray<string>): Promise<string> =>
  (
    await run(program("curl"), [
      ...["-sS", "--max-time", "20", "-x", from.proxy, ...args, "http://greeter.mesh/"]
    ])
  ).stdout

interface Row {
  readonly node: string
  readonly endpoint: string
  readonly state: string
}
const endpoints = async (from = host): Promise<ReadonlyArray<string>> => {
  const known = await from.api("services/greeter/endpoints").catch(() => [])
  // The admin API's own Schema says so.
  return (known as ReadonlyArray<Row>).map(({ endpoint, state }) => `${endpoint} ${state}`).sort()
}
const are = (wanted: ReadonlyArray<string>, from?: Host) =>
  until(`the endpoints are ${wanted}`, async () =>
    String(await endpoints(from)) === String(wanted) ? true : undefined
  )
/** None fails, whichever request thread has got it. */
const allWell = async (from?: Host): Promise<void> => {
  const caller = from === other ? "host/host-b" : "host/host-a"
  const answers = await Promise.all(Array.from({ length: 12 }, () => get(from)))
  // As a set, so that a failure shows the other answer instead of cutting it off.
  expect([...new Set(answers)]).toEqual([`hello, ${caller}\n`])
}

beforeAll(async () => {
  const built = await build() // which is what the package's name means to the programs
  const runtime = [...(built.runtime ?? []), inspected]
  host = await mesh.first("host-a", {
    ...{ ...built, runtime, threads: 2 },
    programs: { listen: socket }
  })
  other = await mesh.join("host-b", { threads: 1 })
  onNode = start(process.execPath, [example, socket])
  await are(["program healthy"])
  onDeno = start(deno, ["run", "-A", example, socket])
  await are(["program healthy", "program-2 healthy"])
  await are(["program healthy", "program-2 healthy"], other)
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

describe("programs attached to a host's node", () => {
  it("serve their own host and others, on Node and on Deno", async () => {
    await allWell()
    await allWell(other)
    const { stdout } = await skein("status", "--admin", host.admin)
    expect(stdout).toMatch(/programs +greeter \(pid \d+\) serves greeter\n +greeter \(pid/)
  })

  it("are out at once when they are killed, and no call fails", async () => {
    await onDeno.stop("SIGKILL")
    await allWell()
    await are(["program healthy"])
    await are(["program healthy"], other)
    await allWell(other)
    onDeno = start(deno, ["run", "-A", example, socket])
    await are(["program healthy", "program-2 healthy"])
  })

  it("are out while they are stopped", async () => {
    onNode.child.kill("SIGSTOP")
    await are(["program unhealthy", "program-2 healthy"])
    await allWell()
    onNode.child.kill("SIGCONT")
    await are(["program healthy", "program-2 healthy"])
  })

  it("notice a crash of the mesh thread by nothing but their connection", async () => {
    const inspector = await Inspector.open(host)
    await inspector.crashMesh("as the test has asked")
    const back = () => onNode.output().includes("attached again")
    do await allWell()
    while (!back())
    inspector.close()
    await are(["program healthy", "program-2 healthy"])
    await are(["program healthy", "program-2 healthy"], other)
    // Links outlive it: they are to the request threads.
    expect(await host.api("status")).toMatchObject({ programs: { length: 2 } })
  })

  it("are linked again to a request thread that has crashed", async () => {
    const inspector = await Inspector.open(host)
    await inspector.crash(0, "as the test has asked")
    inspector.close()
    await until("the thread is there again", async () => {
      const { threads } = (await host.api("status")) as {
        readonly threads: ReadonlyArray<{ readonly restarts: number; readonly state: string }>
      }
      const [first] = threads
      return first?.restarts === 1 && first.state === "running" ? true : undefined
    })
    await allWell()
    await are(["program healthy", "program-2 healthy"])
  })

  it("come back to a node that is started again", async () => {
    await host.kill()
    await host.up()
    await are(["program healthy", "program-2 healthy"])
    await allWell()
    await are(["program healthy", "program-2 healthy"], other)
    await allWell(other)
  })

  it("say good-bye as they end", async () => {
    expect(await onDeno.stop("SIGTERM")).toBe(0)
    // Told before it was gone.
    await allWell()
    expect(await onNode.stop("SIGTERM")).toBe(0)
    expect(await get()).toContain("no_healthy_endpoint")
  })

  it("fail those that call them at once while none of them runs, and answer when one does again", async () => {
    onNode = start(process.execPath, [example, socket])
    await are(["program healthy"])
    await are(["program healthy"], other)
    await onNode.stop("SIGKILL")
    for (const from of [host, other]) {
      const [began, answer] = [performance.now(), await get(from)]
      // Far from the ten seconds that a call waits for a node.
      expect(performance.now() - began).toBeLessThan(3_000)
      // The first is of the moment before the word has come that it is offered no more.
      expect(answer).toMatch(/"code":"(upstream_connect|no_healthy_endpoint)"/)
      await until(`${from.name} knows since when`, async () =>
        /"code":"no_healthy_endpoint",.*nobody has offered it for \d+ s, last on host-a/.test(
          await get(from)
        )
          ? true
          : undefined
      )
    }
    onNode = start(process.execPath, [example, socket])
    await are(["program healthy"])
    await are(["program healthy"], other)
    await allWell()
    await allWell(other)
  })

  it("call themselves in a moment, which is the example's own check", async () => {
    const { code, stdout } = await run(process.execPath, [example, socket, "--once"])
    expect(stdout).toMatch(/^host-a serves it: hello, host\/host-a \(first call after \d+ ms\)$/m)
    expect(code).toBe(0)
  })
})
