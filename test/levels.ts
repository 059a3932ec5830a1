/**
 * Imports go one way. Fails when a file imports from its own level's neighbours or from above,
 * when a folder has no level, and on any cycle between files (type imports count).
 * Run by `npm run check:levels`.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const levels: Readonly<Record<string, number>> = {
  model: 0,
  actor: 1,
  config: 1,
  telemetry: 1,
  identity: 1,
  socket: 1,
  http1: 1,
  link: 2,
  policy: 2,
  membership: 3,
  catalogue: 3,
  outbound: 4,
  inbound: 4,
  listener: 5,
  api: 5,
  entity: 5,
  admin: 6,
  testing: 7,
  node: 7,
  "node.ts": 8,
  cli: 9,
  "main.ts": 10,
  "mod.ts": 10
}

const root = join(import.meta.dirname, "..")
const source = join(root, "src")
const files = globSync("**/*.ts", { cwd: source }).filter((file) => !file.endsWith(".test.ts"))
const problems: Array<string> = []

const unitOf = (file: string): string => file.split("/")[0]!
const importPattern = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g

const graph = new Map<string, Array<string>>()
for (const file of files) {
  const unit = unitOf(file)
  const level = levels[unit]
  if (level === undefined) {
    problems.push(`src/${file}: folder ${unit} has no level; give it one in test/levels.ts`)
    continue
  }
  const text = readFileSync(join(source, file), "utf8")
  const targets: Array<string> = []
  for (const match of text.matchAll(importPattern)) {
    if (match[1]!.endsWith("/package.json")) continue // beside the sources, not one of them
    const target = relative(source, join(source, dirname(file), match[1]!))
    if (!existsSync(join(source, target))) {
      problems.push(`src/${file}: imports ${match[1]}, which does not exist`)
      continue
    }
    targets.push(target)
    const targetUnit = unitOf(target)
    if (targetUnit === unit) continue
    const targetLevel = levels[targetUnit]
    if (targetLevel === undefined || targetLevel >= level) {
      problems.push(
        `src/${file} (${unit}, level ${level}) imports ${target} (level ${targetLevel ?? "none"})`
      )
    }
  }
  graph.set(file, targets)
}

const state = new Map<string, "visiting" | "done">()
const visit = (file: string, trail: ReadonlyArray<string>): void => {
  if (state.get(file) === "done") return
  if (state.get(file) === "visiting") {
    problems.push(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(" → ")}`)
    return
  }
  state.set(file, "visiting")
  for (const target of graph.get(file) ?? []) visit(target, [...trail, file])
  state.set(file, "done")
}
for (const file of graph.keys()) visit(file, [])

for (const problem of problems) console.error(problem)
console.log(`levels: ${files.length} files, ${problems.length} problems`)
process.exit(problems.length === 0 ? 0 : 1)
