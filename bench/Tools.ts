/** Programs the benches need from the system. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

/** Debian's package and Homebrew's, by program. */
const packages = {
  wrk: ["wrk", "wrk"],
  h2load: ["nghttp2-client", "nghttp2"],
  nginx: ["nginx-light", "nginx"],
  haproxy: ["haproxy", "haproxy"],
  openssl: ["openssl", "openssl"],
  curl: ["curl", "curl"],
  python3: ["python3-venv", "python"],
  serf: ["serf", "serf"]
} as const

export type ToolName = keyof typeof packages
/** Absolute paths by name. */
export type Tools = Readonly<Partial<Record<ToolName, string>>>

export class MissingTool extends Error {
  constructor(names: ReadonlyArray<ToolName>) {
    const list = (system: 0 | 1) => names.map((name) => packages[name][system]).join(" ")
    super(
      `the bench needs ${names.join(" and ")}, which ${names.length === 1 ? "is" : "are"} not installed.\n` +
        `  Debian, Ubuntu:  sudo apt-get install ${list(0)}\n` +
        `  macOS:           brew install ${list(1)}`
    )
    this.name = "MissingTool"
  }
}

/** Absolute path, or undefined when it is not installed. */
export const findTool = (name: ToolName): string | undefined => {
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  for (const folder of [...folders, "/usr/sbin", "/usr/local/sbin"]) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder; the next may have it.
    }
  }
  return undefined
}

/** All that are there; throws MissingTool naming those of `needed` that are not. */
export const findTools = (needed: ReadonlyArray<ToolName>): Tools => {
  const missing: Array<ToolName> = []
  const found: Partial<Record<ToolName, string>> = {}
  for (const name of needed) {
    const path = findTool(name)
    if (path === undefined) missing.push(name)
    else found[name] = path
  }
  if (missing.length > 0) throw new MissingTool(missing)
  return found
}

/** A tool that a part cannot do without. */
export const toolOf = (tools: Tools, name: ToolName): string => {
  const path = tools[name]
  if (path === undefined) throw new MissingTool([name])
  return path
}
