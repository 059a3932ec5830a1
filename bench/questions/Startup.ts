/** How long from the start of the process until it serves? */
import { mkdirSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import { ChildEnded } from "../../test/fixtures/ChildEnd.ts"
import { Host, skein } from "../../test/fixtures/Mesh.ts"
import { freePort, start } from "../../test/fixtures/Processes.ts"
import { makeCertificates } from "../Certificates.ts"
import { findEnvoy } from "../peers/EnvoyBinary.ts"
import { envoyArguments, clientConfig as envoyConfig } from "../peers/EnvoyPair.ts"
import { get } from "../peers/Get.ts"
import { clientConfig as haproxyConfig } from "../peers/HaproxyPair.ts"
import { PeerAbsent, type Program, rowHead } from "../peers/Peer.ts"
import { builtProgram, runtimeOf } from "../peers/SkeinPair.ts"
import { describeThreads, type Way, waysOf } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures } from "../Result.ts"
import { toolOf } from "../Tools.ts"

interface Starter {
  readonly program: Program
  readonly serves: () => Promise<boolean>
}

/** A node that has been set up before: what starts is a host that comes back. */
const skeinStarter = async (
  directory: string,
  program: string,
  threads: number | undefined
): Promise<Starter> => {
  const ports = { admin: await freePort(), proxy: await freePort(), mesh: await freePort() }
  mkdirSync(directory, { recursive: true })
  const host = new Host("host-a", directory, ports, {})
  host.writeConfig()
  const { end } = await skein("init", "--data-dir", host.dataDir, "--name", "host-a")
  if (end.code !== 0) throw new ChildEnded({ ...end, what: "init of host-a" })
  const [command = process.execPath, ...before] = runtimeOf(threads)
  return {
    program: { command, args: [...before, program, "up", "--config", host.configPath] },
    serves: async () => (await get(host.admin, host.admin, "/ready")).status === 200
  }
}

/** A proxy whose other side is not there serves as soon as it takes connections. */
const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port })
    socket.on("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

const haproxyStarter = async ({ tools, directory }: Bench): Promise<Starter> => {
  const certificates = makeCertificates(toolOf(tools, "openssl"), join(directory, "haproxy"))
  const port = await freePort()
  const file = join(directory, "haproxy", "client.cfg")
  writeFileSync(file, haproxyConfig(port, await freePort(), certificates))
  return {
    program: { command: toolOf(tools, "haproxy"), args: ["-db", "-f", file] },
    serves: () => accepts(port)
  }
}

const envoyStarter = async ({ tools, directory }: Bench): Promise<Starter> => {
  const command = await findEnvoy()
  const certificates = makeCertificates(toolOf(tools, "openssl"), join(directory, "envoy"))
  const port = await freePort()
  const file = join(directory, "envoy", "client.json")
  writeFileSync(file, JSON.stringify(envoyConfig(port, await freePort(), certificates)))
  return {
    program: { command, args: envoyArguments(file) },
    serves: () => accepts(port)
  }
}

const root = join(import.meta.dirname, "..", "..")

const cases = [
  {
    name: "sources",
    peer: "skein",
    prepare: ({ directory }: Bench, { label, threads }: Way) =>
      skeinStarter(join(directory, "sources", label), join(root, "src", "main.ts"), threads)
  },
  {
    name: "build",
    peer: "skein",
    prepare: ({ directory }: Bench, { label, threads }: Way) =>
      skeinStarter(join(directory, "build", label), builtProgram(), threads)
  },
  { name: "peers", peer: "haproxy", prepare: haproxyStarter },
  { name: "peers", peer: "envoy", prepare: envoyStarter }
] as const

/** Milliseconds from the start until an answer comes; asked every few of them. */
const measure = async ({ program, serves }: Starter): Promise<number> => {
  const began = performance.now()
  const running = start(program.command, program.args)
  try {
    while (performance.now() - began < 30_000) {
      const end = running.ended()
      if (end !== undefined) throw new ChildEnded(end)
      if (await serves().catch(() => false)) return performance.now() - began
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    throw new Error(`${program.command} was not ready within 30 s: ${running.output()}`)
  } finally {
    await running.stop()
  }
}

/** What a program costs that has nothing to do, to divide by. */
const bareNode = async (): Promise<number> => {
  const began = performance.now()
  await start(process.execPath, ["-e", "0"]).exited
  return performance.now() - began
}

export const startup: Question = {
  name: "startup",
  asks: "How long from the start of the process to /ready, from sources and from the build?",
  needs: ["haproxy", "openssl"],
  reference: "node -e 0",
  cases: ["sources", "build", "peers"],
  defaults: { rounds: 9, seconds: 1 },
  threads: "nodes",
  measures: [{ key: "ms", label: "ms to ready", digits: 0, better: "lower", judged: 0.1 }],
  answer: async (bench) => {
    const { rounds } = bench.options
    const absent: Array<{ peer: string; why: string }> = []
    const all = []
    const { threads } = bench.options
    for (const { name, peer, prepare } of casesOf(cases, bench.options.cases)) {
      // What a program costs that has nothing to do is the same for all ways of one case.
      const bare = { case: name, peer: "node -e 0", rounds: { ms: figures() }, errors: 0 }
      const ways = waysOf(peer, { threads, peerThreads: undefined })
      for (const [index, way] of ways.entries()) {
        bench.say(`preparing ${way.label}, ${name}`)
        try {
          const starter = await prepare(bench, way)
          const row = { ...rowHead(name, way), rounds: { ms: figures() } }
          const isLast = peer === "skein" && index === ways.length - 1
          all.push({ starter, row, bare: isLast ? bare : undefined })
        } catch (cause) {
          if (!(cause instanceof PeerAbsent)) throw cause
          absent.push({ peer, why: cause.message })
        }
      }
    }
    // Once uncounted: files get into memory, compiled code into its cache.
    for (let round = 0; round <= rounds; round++) {
      for (const { starter, row, bare } of all) {
        bench.say(`${row.case}, ${row.peer}: round ${round} of ${rounds}`)
        const ms = await measure(starter)
        const least = bare === undefined ? undefined : await bareNode()
        if (round === 0) continue
        row.rounds.ms.push(ms)
        if (least !== undefined) bare?.rounds.ms.push(least)
      }
    }
    return {
      method: `from the start of the process to its first good answer, ${rounds} rounds${describeThreads(threads)}`,
      rows: all.flatMap(({ row, bare }) => (bare === undefined ? [row] : [row, bare])),
      absent
    }
  }
}
