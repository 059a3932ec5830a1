/** Programs the benches need from the system. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

const packages: Readonly<Record<string, string>> = { wrk: "wrk", nginx: "nginx-light" }

export class MissingTool extends Error {
  constructor(names: ReadonlyArray<string>) {
    const list = names.map((name) => packages[name] ?? name).join(" ")
    super(
      `the bench needs ${names.join(" and ")}, which ${names.length === 1 ? "is" : "are"} not installed.\n` +
        `  Debian, Ubuntu:  sudo apt-get install ${list}\n` +
        `  macOS:           brew install ${names.join(" ")}`
    )
    this.name = "MissingTool"
  }
}

const find = (name: string): string | undefined => {
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

/** Absolute paths by name; throws MissingTool naming all that are missing. */
export const findTools = <Name extends string>(
  ...names: ReadonlyArray<Name>
): Readonly<Record<Name, string>> => {
  const found = names.map((name) => [name, find(name)] as const)
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name)
  if (missing.length > 0) throw new MissingTool(missing)
  // Every name has its path: fromEntries only cannot say so.
  return Object.fromEntries(found) as Record<Name, string>
}
