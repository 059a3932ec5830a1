/**
 * `npm run build`: the sources as a few JavaScript files in dist/. A node started from them is
 * ready in well under half the time and lives in a third of the memory.
 *
 * - `skein.js` is the command with everything it needs: on a host it runs without node_modules.
 *   What only some commands need is in chunks of its own; `skein status` loads no libp2p.
 * - `mod.js` is the library. It leaves the peers of package.json outside: a program that embeds a
 *   node has its own effect, and there must be only one. All else is within, as in the command: what
 *   was tested is what runs, and a program's install brings no package that it did not ask for.
 * - `rpc.js` is the part of it that needs @effect/rpc, which not every program has.
 * - `actors.js` has actors, whose messages are RPCs.
 * - `cluster.js` has @effect/cluster run on the mesh.
 * - `postgres.js` keeps actors in PostgreSQL, by @effect/sql-pg, which fewer have.
 * - `mesh.js` is what runs in the mesh thread of a program's node: a realm of its own, so it has an
 *   effect of its own within, and is one file, which a program that is bundled can take along.
 * - `testing.js` is the simulator, for programs that import `skein/testing`: like the library, with
 *   the peers outside, and apart from it, so that neither loads what only the other needs.
 * - `request.js` is what runs in a request thread: the request plane and nothing else.
 * - `up/` has the command and the request thread as a script each, for nodes: of scripts V8 can keep all
 *   code that was compiled, which is some 10 % of what a start costs (src/boot/KeptCode.ts).
 * - `types/` are the declarations of both, without what is marked `@internal`.
 * - `THIRD-PARTY.txt` are the licences of what is within.
 *
 * npm runs this after every install (`prepare`, with `--if-possible`): where the development
 * dependencies are left out it says so and builds nothing.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { basename, join } from "node:path"
import type { BuildOptions, Metafile } from "esbuild"
import manifest from "../package.json" with { type: "json" }
import { builtinsByRequire } from "./BuiltinsByRequire.ts"
import { keepReachable } from "./Declarations.ts"
import { noArbitraries } from "./NoArbitraries.ts"
import { ownVersion } from "./OwnVersion.ts"
import { plainOrder } from "./PlainOrder.ts"
import { singleProcessLocks } from "./SingleProcessLocks.ts"
import { thirdParty } from "./ThirdParty.ts"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

const esbuild = await import("esbuild").catch((cause: unknown) => {
  const ifPossible = process.argv.includes("--if-possible")
  console.error(
    `dist/ was not built, as esbuild is not installed: run npm ci without --omit=dev (${cause})`
  )
  process.exit(ifPossible ? 0 : 1)
})

/** Files that are loaded before anything of the entry runs, itself included. */
const loadedBy = ({ outputs }: Metafile, entry: string): ReadonlySet<string> => {
  const loaded = new Set<string>()
  const load = (path: string): void => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const { kind, path: next } of outputs[path]?.imports ?? []) {
      if (kind === "import-statement" && outputs[next] !== undefined) load(next)
    }
  }
  load(entry)
  return loaded
}

const entriesOf = ({ outputs }: Metafile): ReadonlyArray<string> =>
  Object.keys(outputs).filter(
    (path) => outputs[path]?.entryPoint !== undefined && !path.includes("/chunks/")
  )

/** Of each entry, with the chunks that it loads before anything else. */
const sizesOf = (
  builds: ReadonlyArray<{ readonly metafile: Metafile }>
): ReadonlyArray<readonly [name: string, bytes: number]> =>
  builds.flatMap(({ metafile }) =>
    entriesOf(metafile).map((entry) => {
      const sizes = Array.from(
        loadedBy(metafile, entry),
        (path) => metafile.outputs[path]?.bytes ?? 0
      )
      return [basename(entry), sizes.reduce((sum, size) => sum + size, 0)] as const
    })
  )

/** Packages that are not within, and that this entry imports. */
const outsideOf = (metafile: Metafile, name: string): ReadonlyArray<string> =>
  entriesOf(metafile)
    .filter((entry) => basename(entry) === name)
    .flatMap((entry) => [...loadedBy(metafile, entry)])
    .flatMap((path) => metafile.outputs[path]?.imports ?? [])
    .flatMap(({ external, path }) => (external === true ? [path] : []))

// Beside dist/, so that it can take its place in one step and nobody meets half a build.
const outdir = mkdtempSync(join(root, "dist-"))
const former = `${outdir}-former`

const common = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: `node${manifest.engines.node.replace(">=", "")}`,
  // As deep as src/cli: relative paths to what lies beside the sources, like examples/, hold.
  chunkNames: "chunks/[name]-[hash]",
  outdir,
  // The sources' text stays in memory. Names stay in it: a stack trace from the field must say
  // something.
  minifySyntax: true,
  minifyWhitespace: true,
  // So that a stack trace names a place somebody can read, and not column 1,900,000.
  lineLimit: 160,
  plugins: [builtinsByRequire, singleProcessLocks, plainOrder, noArbitraries, ownVersion],
  // Bundled CommonJS packages ask for Node's own modules by `require`, which ESM has not.
  banner: {
    js: 'import{createRequire as skeinRequire}from"node:module";const require=skeinRequire(import.meta.url);'
  },
  metafile: true,
  logLevel: "warning"
} as const satisfies BuildOptions

/** A script, of which src/boot/KeptCode.ts makes a function. Its name says which text it is. */
const script = {
  ...common,
  splitting: false,
  format: "cjs",
  outdir: join(outdir, "up"),
  entryNames: "[name]-[hash]",
  outExtension: { ".js": ".cjs" },
  define: { "import.meta.url": "skeinProgram" },
  banner: { js: "(function(require,module,exports,skeinProgram){" },
  footer: { js: "})" }
} as const satisfies BuildOptions

const nameOf = ({ outputs }: Metafile): string => basename(Object.keys(outputs)[0] ?? "")

/** Of a program that embeds a node, and of no other copy. */
const peers = Object.keys(manifest.peerDependencies)
const optional = Object.keys(manifest.peerDependenciesMeta)
const allOf = (names: ReadonlyArray<string>) => names.flatMap((name) => [name, `${name}/*`])
const isPeer = (specifier: string): boolean =>
  peers.some((peer) => specifier === peer || specifier.startsWith(`${peer}/`))

try {
  const scripts = {
    command: await esbuild.build({ ...script, entryPoints: { node: "src/boot/command.ts" } }),
    request: await esbuild.build({ ...script, entryPoints: { request: "src/request/thread.ts" } })
  }
  const define = {
    skeinCommandScript: JSON.stringify(nameOf(scripts.command.metafile)),
    skeinRequestScript: JSON.stringify(nameOf(scripts.request.metafile))
  }
  const command = await esbuild.build({ ...common, define, entryPoints: { skein: "src/main.ts" } })
  const lives = Object.entries(command.metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === "src/NodeLives.ts"
  )
  const inMesh = Array.from(lives === undefined ? [] : loadedBy(command.metafile, lives[0]))
    .flatMap((path) => Object.keys(command.metafile.outputs[path]?.inputs ?? {}))
    .includes("src/request/RequestPlane.ts")
  if (lives === undefined || inMesh) {
    throw new Error("the mesh thread of a node is to load the request plane only where it runs one")
  }
  const starter = await esbuild.build({
    ...common,
    ...{ define, splitting: false, outdir: join(outdir, "up") },
    entryPoints: { request: "src/boot/thread.ts" }
  })
  // Apart from the others, so that it shares no chunk with what a request thread must not load.
  const thread = await esbuild.build({
    ...common,
    splitting: false,
    entryPoints: { request: "src/request/thread.ts" }
  })
  const foreign = Object.keys(thread.metafile.inputs).filter((it) => it.includes("node_modules/"))
  if (foreign.length > 0) {
    throw new Error(
      `request threads are to load nothing but src/request and src/model, and would load ${foreign.slice(0, 3).join(", ")}`
    )
  }
  const mesh = await esbuild.build({
    ...common,
    splitting: false,
    entryPoints: { mesh: "src/meshThread.ts" }
  })
  const library = await esbuild.build({
    ...common,
    // Together: what they share, like the classes of failures, is there once.
    entryPoints: {
      mod: "src/mod.ts",
      rpc: "src/rpc.ts",
      actors: "src/actors.ts",
      cluster: "src/cluster.ts",
      postgres: "src/postgres.ts"
    },
    external: allOf(peers)
  })
  for (const peer of optional) {
    if (outsideOf(library.metafile, "mod.js").some((path) => `${path}/`.startsWith(`${peer}/`))) {
      throw new Error(`mod.js imports ${peer}, which a program that uses the library need not have`)
    }
  }
  const testing = await esbuild.build({
    ...common,
    entryPoints: { testing: "src/testing/simulator/mod.ts" },
    // What it needs of a peer that a program need not have is within.
    external: allOf(peers.filter((peer) => !optional.includes(peer)))
  })
  const all = [command, library, testing, mesh, thread, starter, ...Object.values(scripts)]
  const bundled = all.flatMap(({ metafile }) => Object.keys(metafile.inputs))
  writeFileSync(join(outdir, "THIRD-PARTY.txt"), thirdParty(root, bundled))
  chmodSync(join(outdir, "skein.js"), 0o755)
  const types = spawnSync(
    process.execPath,
    [
      join(root, "node_modules", "typescript", "bin", "tsc"),
      ...["--project", join(root, "build", "tsconfig.json"), "--outDir", join(outdir, "types")]
    ],
    { stdio: "inherit" }
  )
  if (types.status !== 0) throw new Error("the declarations could not be made; tsc says why above")
  keepReachable(
    join(outdir, "types"),
    [
      "mod.d.ts",
      "rpc.d.ts",
      "actors.d.ts",
      "cluster.d.ts",
      "postgres.d.ts",
      "testing/simulator/mod.d.ts"
    ],
    (it) => isPeer(it) || isBuiltin(it)
  )
  for (const [name, size] of sizesOf(all)) {
    console.log(`${name.padEnd(12)} ${(size / 1_024).toFixed(0).padStart(6)} KiB`)
  }
  chmodSync(outdir, 0o755)
  // Two renames, and nothing that takes time between them: a node that starts meanwhile finds all of
  // the one build or all of the other.
  if (existsSync(dist)) renameSync(dist, former)
  renameSync(outdir, dist)
} finally {
  for (const gone of [outdir, former]) rmSync(gone, { recursive: true, force: true })
}
