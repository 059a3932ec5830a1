/**
 * The package as a project gets it: packed, installed by npm beside the project's own effect, at both
 * ends of the promised ranges, compiled, and run on the oldest Node, on the newest and on Deno. What
 * runs are the programs of README, docs/library.md and docs/programs.md as they stand there.
 */
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { isBuiltin } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }
import { leastNode } from "../../src/node/Runtime.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { programsOf } from "../fixtures/Docs.ts"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { run, start, stopAll, until } from "../fixtures/Processes.ts"

const meshes: Array<TestMesh> = []
let mesh: TestMesh
const directory = mkdtempSync(join(tmpdir(), "skein-package-"))
let host: Host
/** Where programs attach. */
let attachAt: string
let app: App
let tarball: string

/** Of its own for each end: programs say which services there are, and others leave theirs behind. */
const newMesh = async (): Promise<void> => {
  mesh = new TestMesh()
  meshes.push(mesh)
  attachAt = `unix:${join(directory, `programs-${meshes.length}.sock`)}`
  host = await mesh.first("host-a", {
    services: [{ name: "payments", address: app.address }],
    programs: { listen: attachAt }
  })
}

/** npm from the registry or its cache; what it says is in the failure. */
const npm = async (at: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const flags = ["--prefix", at, "--no-audit", "--no-fund", "--prefer-offline"]
  const { code, stdout, stderr } = await run("npm", [...args, ...flags])
  if (code !== 0) throw new Error(`npm ${args.join(" ")} (needs the npm registry): ${stderr}`)
  return stdout + stderr
}

/** A project with nothing in it. */
const project = (name: string): string => {
  const at = join(directory, name)
  mkdirSync(at)
  const allowScripts = { node: true, "msgpackr-extract": false }
  writeFileSync(
    join(at, "package.json"),
    JSON.stringify({ private: true, type: "module", allowScripts })
  )
  return at
}

/** A Node of its own, by the package `node`; its path. */
const nodeOf = async (version: string): Promise<string> => {
  const at = project(`node-${version}`)
  await npm(at, "install", `node@${version}`)
  return join(at, "node_modules", ".bin", "node")
}

/** The lowest version that a range of package.json takes. */
const lowest = (range: string): string => /\d+\.\d+\.\d+/.exec(range)?.[0] ?? range

const peers = manifest.peerDependencies
/** Of programs that keep something in a database. */
const kept = ["@effect/sql", "@effect/cluster", "@effect/workflow", "@effect/experimental"]
const ends = [
  [
    "lowest",
    {
      effect: lowest(peers.effect),
      platform: lowest(peers["@effect/platform"]),
      rpc: lowest(peers["@effect/rpc"])
    }
  ],
  [
    "newest",
    {
      effect: manifest.devDependencies.effect,
      platform: manifest.devDependencies["@effect/platform"],
      rpc: manifest.devDependencies["@effect/rpc"]
    }
  ]
] as const

const simulations = programsOf("docs/simulator.md")
const programs = [
  ...["README.md", "docs/library.md", "docs/programs.md"].flatMap(programsOf),
  ...simulations
]
const example = {
  file: "embed.ts",
  text: readFileSync(join(root, "examples/embed/main.ts"), "utf8"),
  output: undefined
}

/** What a program prints besides what Effect logs. */
const printed = (stdout: string): string => stdout.replaceAll(/^timestamp=.*\n/gm, "")

/** To its end, in the project it belongs to, with a token. */
const runIn = async (
  at: string,
  command: ReadonlyArray<string>
): Promise<{ readonly code: number | NodeJS.Signals; readonly output: string }> => {
  const [program = "", ...args] = command
  const env = { SKEIN_TOKEN: await host.invite("--services", "*"), SKEIN_ATTACH: attachAt }
  const child = start(program, args, { cwd: at, env })
  const code = await child.exited
  return { code, output: printed(child.output()) }
}

const resolutions = [
  ["nodenext", "nodenext"],
  ["preserve", "bundler"]
] as const

/** All that lies in the project, to `out/<resolution>`, with the declarations of packages looked at as well. */
const compile = (at: string, module: string, resolution: string) => {
  const config = join(at, `tsconfig.${resolution}.json`)
  const compilerOptions = {
    ...{ module, moduleResolution: resolution, target: "es2022", lib: ["es2024", "dom"] },
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
    rewriteRelativeImportExtensions: true,
    outDir: join("out", resolution),
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")]
  }
  writeFileSync(config, JSON.stringify({ compilerOptions, include: ["*.ts"] }))
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  return run(process.execPath, [tsc, "--project", config])
}

beforeAll(async () => {
  await build()
  const packed = await run("npm", [
    ...["pack", root, "--ignore-scripts", "--json", "--pack-destination", directory]
  ])
  if (packed.code !== 0) throw new Error(`npm pack: ${packed.stderr}`)
  tarball = join(directory, `${manifest.name}-${manifest.version}.tgz`)
  app = await httpApp("payments", (request, response) => {
    response.setHeader("content-type", "application/json")
    response.end(request.url === "/balance" ? '{"balance":12}' : `"${request.url}"`)
  })
})

afterAll(async () => {
  await Promise.all(meshes.map((one) => one.stop()))
  await stopAll()
  await app?.close()
  rmSync(directory, { recursive: true, force: true })
})

describe.each(ends)("beside the %s effect of the range", (end, versions) => {
  const at = join(directory, end)
  const installed = join(at, "node_modules", manifest.name)
  let node: string

  beforeAll(async () => {
    await newMesh()
    project(end)
    const said = await npm(
      at,
      ...["install", tarball, `effect@${versions.effect}`],
      ...[`@effect/platform@${versions.platform}`, `@effect/rpc@${versions.rpc}`]
    )
    expect(said).not.toMatch(/ERESOLVE|EBADENGINE|peer/)
    node = end === "lowest" ? await nodeOf(`${leastNode}.0.0`) : process.execPath
    for (const { file, text } of [...programs, example]) writeFileSync(join(at, file), text)
  }, 300_000)

  it("there is one effect and one @effect/platform, and the package brings nothing else", () => {
    for (const peer of Object.keys(peers)) {
      const found = globSync(`**/node_modules/${peer}/package.json`, { cwd: at })
      // No program here keeps anything in a database.
      expect(found, peer).toHaveLength(kept.some((it) => peer.startsWith(it)) ? 0 : 1)
    }
    expect(existsSync(join(installed, "node_modules"))).toBe(false)
    expect(readFileSync(join(at, "package-lock.json"), "utf8")).not.toContain("libp2p")
  })

  it.each(resolutions)(
    "its types and the programs compile (module %s, resolution %s)",
    async (module, resolution) => {
      const compiled = await compile(at, module, resolution)
      expect(compiled.stdout).toBe("")
      expect(compiled.code).toBe(0)
    }
  )

  // From what was compiled: the oldest Node reads no TypeScript, as configs neither.
  it.each(programs)("$file runs, and prints what it says", async ({ file, output }) => {
    const compiled = join("out", "nodenext", file.replace(/\.ts$/, ".js"))
    const config = `"./${join("out", "nodenext", "skein.config.js")}"`
    const text = readFileSync(join(at, compiled), "utf8")
    if (end === "lowest") {
      writeFileSync(join(at, compiled), text.replaceAll('"skein.config.ts"', config))
    }
    const result = await runIn(at, [node, compiled])
    expect(result.output).toBe(output ?? (file === "main.ts" ? "{ balance: 12 }\n" : ""))
    expect(result.code).toBe(0)
  })

  it("the example runs", async () => {
    const compiled = join("out", "nodenext", "embed.js")
    const token = await host.invite()
    const result = await runIn(at, [node, compiled, token, "payments"])
    expect(result.output).toMatch(/^200 from payments by way of embedded-\d+:\n"\/"\n$/)
    expect(result.code).toBe(0)
  })

  it("a config in TypeScript is read, or refused with the ways out", async () => {
    const command = join(installed, "dist", "skein.js")
    const { code, stderr } = await run(node, [
      ...[command, "config", "check", join(at, "skein.config.ts")]
    ])
    if (end === "newest") {
      expect(stderr).toContain("skein.config.ts is right: node host-z")
      expect(code).toBe(0)
    } else {
      expect(stderr).toContain(
        "is TypeScript, which Node 22.0.0 does not read (22.18 and newer do)"
      )
      expect(code).toBe(1)
    }
  })

  it("the command is a node", async () => {
    const b = await mesh.join(`host-${end}`, {
      runtime: [node],
      program: join(installed, "dist", "skein.js")
    })
    await until("the mesh is known", async () => {
      const members = await b.api("members")
      return JSON.stringify(members).includes("host-a") ? true : undefined
    })
    expect(await b.stop()).toBe(0)
  })
})

describe("beside @effect/cluster", () => {
  const at = join(directory, "cluster")

  beforeAll(async () => {
    project("cluster")
    const modules = join(at, "node_modules")
    mkdirSync(modules)
    // As npm would install them: those that are here.
    for (const name of ["effect", "@effect"])
      symlinkSync(join(root, "node_modules", name), join(modules, name))
    const { code, stderr } = await run("tar", ["-xzf", tarball, "-C", modules])
    if (code !== 0) throw new Error(`tar: ${stderr}`)
    renameSync(join(modules, "package"), join(modules, manifest.name))
    for (const name of ["checkout", "departments", "host", "order", "shop"]) {
      const file = `${name}.ts`
      copyFileSync(join(modules, manifest.name, "examples", "workflow", file), join(at, file))
    }
  })

  it.each(resolutions)(
    "its types and the workflow's programs compile (module %s, resolution %s)",
    async (module, resolution) => {
      const compiled = await compile(at, module, resolution)
      expect(compiled.stdout).toBe("")
      expect(compiled.code).toBe(0)
    }
  )
})

describe("on Deno", () => {
  const deno = join(root, "node_modules", ".bin", "deno")
  const at = join(directory, "newest")

  it.each([
    ["skein", ""],
    ["npm:skein", "npm:"]
  ])("README's program runs, from %s", async (_, prefix) => {
    const [program] = programsOf("README.md")
    const name = prefix === "" ? "deno.ts" : "deno-npm.ts"
    const imports = /"(skein|effect|@effect\/platform)"$/gm
    writeFileSync(join(at, name), program!.text.replaceAll(imports, `"${prefix}$1"`))
    const result = await runIn(at, [deno, "run", "-A", name])
    expect(result.output).toBe("{ balance: 12 }\n")
    expect(result.code).toBe(0)
    const checked = start(deno, ["check", name], { cwd: at })
    expect(await checked.exited, checked.output()).toBe(0)
  })
})

describe("the simulator on Deno", () => {
  it.each(simulations)("$file prints the same", async ({ file, output }) => {
    const deno = join(root, "node_modules", ".bin", "deno")
    const result = await runIn(join(directory, "newest"), [deno, "run", "-A", file])
    expect(result.output).toBe(output)
    expect(result.code).toBe(0)
  })
})

describe("on a Node that is too old", () => {
  const at = join(directory, "newest")
  let node: string
  beforeAll(async () => {
    node = await nodeOf("20.20.2")
  }, 300_000)

  it("a node says so, and policies work", async () => {
    const text = `import { Effect } from "effect"
import { makePolicy, SkeinNode } from "skein"
console.log(makePolicy({ retry: { attempts: 1 } }).retry.attempts)
const failed = Effect.provide(Effect.void, SkeinNode.layer({ node: { dataDir: "./old" } }, { join: "x" }))
console.log(await Effect.runPromise(Effect.flip(failed)).then(({ code, message }) => code + " " + message))
`
    writeFileSync(join(at, "old.mjs"), text)
    const { output } = await runIn(at, [node, "old.mjs"])
    expect(output).toMatch(
      /^1\nruntime_too_old this is Node 20\.20\.2\. Skein needs Node 22 or newer\./
    )
  })

  it("the command says so", async () => {
    const command = join(at, "node_modules", "skein", "dist", "skein.js")
    writeFileSync(join(at, "old.yaml"), "node: { dataDir: ./old }\n")
    const { code, stderr } = await run(node, [command, "up", "--config", join(at, "old.yaml")])
    expect(code).toBe(1)
    expect(stderr).toMatch(/this is Node 20\.20\.2\. Skein needs Node 22 or newer\./)
  })
})

describe("what is packed", () => {
  it("imports nothing that is not", () => {
    const at = join(directory, "newest", "node_modules", manifest.name)
    const files = globSync("**/*.{ts,js}", { cwd: at })
    expect(files).toContain(join("examples", "embed", "main.ts"))
    expect(files).toContain(join("examples", "simulate", "partition.ts"))
    const own = [manifest.name, ...Object.keys(peers)]
    const missing = files.flatMap((file) => {
      // Chunks are minified, and hold texts of all kinds; the compiler of chunks has resolved them.
      if (file.startsWith("dist") && !file.endsWith(".d.ts")) return []
      const text = readFileSync(join(at, file), "utf8")
      return [...text.matchAll(/^(?:import|export)\b[^"]*?from "([^"]+)"/gm)]
        .map(([, specifier = ""]) => specifier)
        .filter((specifier) =>
          specifier.startsWith(".")
            ? !existsSync(
                join(
                  at,
                  dirname(file),
                  specifier.replace(/(\.d)?\.ts$/, file.endsWith(".d.ts") ? ".d.ts" : ".ts")
                )
              )
            : !isBuiltin(specifier) && !own.some((one) => `${specifier}/`.startsWith(`${one}/`))
        )
        .map((specifier) => `${file}: ${specifier}`)
    })
    expect(missing).toEqual([])
  })

  it.each([".", "./testing"] as const)("%s has types that need no optional peer", (entry) => {
    const at = join(directory, "newest", "node_modules", manifest.name)
    const optional = Object.keys(manifest.peerDependenciesMeta)
    const seen = new Set([join(at, manifest.exports[entry].types)])
    const needed: Array<string> = []
    // A set goes on to what is added while it is gone through.
    for (const file of seen) {
      const text = readFileSync(file, "utf8")
      for (const [, specifier = ""] of text.matchAll(/(?:from |import\()"([^"]+)"/g)) {
        if (specifier.startsWith(".")) {
          seen.add(join(dirname(file), specifier.replace(/(\.d)?\.ts$/, ".d.ts")))
        } else if (optional.some((one) => `${specifier}/`.startsWith(`${one}/`))) {
          needed.push(`${relative(at, file)}: ${specifier}`)
        }
      }
    }
    expect(seen.size).toBeGreaterThan(5)
    expect(needed).toEqual([])
  })

  it("has licences for what it has inside", () => {
    const at = join(directory, "newest", "node_modules", manifest.name)
    expect(existsSync(join(at, "LICENSE"))).toBe(true)
    const others = readFileSync(join(at, "dist", "THIRD-PARTY.txt"), "utf8")
    for (const name of ["libp2p", "@effect/rpc", "@opentelemetry/sdk-metrics", "yaml"]) {
      expect(others).toMatch(new RegExp(`^${name} \\d`, "m"))
    }
  })
})
