/**
 * The library's declarations, cut down to what its exports mention. What a node is made of inside is
 * nobody's to import, and a program's compiler would need the types of packages it does not have.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"

const comments = /\/\*[\s\S]*?\*\//g
const imported = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g

/**
 * Removes the files below `directory` that none of `entries` reaches. `provided` says which packages a
 * program that uses the library has; one that it has not is an error which says where it is needed.
 */
export const keepReachable = (
  directory: string,
  entries: ReadonlyArray<string>,
  provided: (specifier: string) => boolean
): void => {
  const reached = new Set(entries.map((entry) => join(directory, entry)))
  for (const file of reached) {
    for (const [, specifier = ""] of readFileSync(file, "utf8")
      .replace(comments, "")
      .matchAll(imported)) {
      if (specifier.startsWith(".")) {
        reached.add(join(dirname(file), specifier).replace(/\.ts$/, ".d.ts"))
      } else if (!provided(specifier)) {
        throw new Error(
          `${file} mentions ${specifier}, which a program with the library need not have: hide the type, or make the package a peer`
        )
      }
    }
  }
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const path = join(directory, name)
    if (name.endsWith(".d.ts") && !reached.has(path)) rmSync(path)
  }
}
