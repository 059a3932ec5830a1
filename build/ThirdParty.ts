/** What of other people's packages is in the build. Their licences want to be in every copy. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const licenceFile = /^(licen[cs]e|copying|notice)/i

/** Directory of the package that a bundled file is of; undefined for a file of our own. */
const packageOf = (file: string): string | undefined =>
  /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0]

/** `files`: what was bundled, relative to `root`. Packages with the same text stand together. */
export const thirdParty = (root: string, files: Iterable<string>): string => {
  const byText = new Map<string, Set<string>>()
  for (const directory of new Set(Array.from(files, packageOf))) {
    if (directory === undefined) continue
    const path = join(root, directory)
    const manifest: Manifest = JSON.parse(readFileSync(join(path, "package.json"), "utf8"))
    const text = readdirSync(path)
      .filter((file) => licenceFile.test(file))
      .map((file) => readFileSync(join(path, file), "utf8").trim())
      .join("\n\n")
    const names = byText.get(text) ?? new Set()
    byText.set(text, names)
    names.add(`${manifest.name} ${manifest.version} (${manifest.license ?? "see its repository"})`)
  }
  const parts = [...byText].map(([text, names]) =>
    [...names]
      .toSorted()
      .join("\n")
      .concat(text === "" ? "\n" : `\n\n${text}\n`)
  )
  const rule = `\n${"-".repeat(80)}\n\n`
  const title = "The files beside this one contain parts of these packages.\n"
  return [title, ...parts.toSorted()].join(rule)
}
