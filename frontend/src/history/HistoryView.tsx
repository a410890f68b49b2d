import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Trash2 } from "lucide-react";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import type { HistoryEntry } from "@/storage/database";
import { Button, IconButton } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { TextField } from "@/ui/Field";
import { useCopy } from "@/ui/useCopy";
import { useFocusAfterRemoval } from "@/ui/useFocusAfterRemoval";
import { ExportDialog } from "./ExportDialog";
import { search } from "./search";
import { clearHistory, MAX_ENTRIES, readHistory, removeFromHistory, subscribe } from "./store";
import { Thumbnail } from "./Thumbnail";

const ENTRIES = ["history"];
const NONE: HistoryEntry[] = [];

/** The posts that were captioned on this device. */
export function HistoryView() {
  const { data: entries = NONE, isPending } = useHistory();
  const [query, setQuery] = useState("");
  const [dialog, setDialog] = useState<"export" | "erase" | null>(null);
  const close = () => setDialog(null);
  const list = useRef<HTMLUListElement>(null);
  useFocusAfterRemoval(list, entries.length);
  const found = search(entries, useDeferredValue(query));
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-4">
      <h1 className="text-2xl font-extrabold">History</h1>
      <p className="text-muted">
        Your newest {MAX_ENTRIES} posts, with small pictures. They stay on this device, and nobody else sees
        them.
      </p>
      {entries.length > 0 && (
        <TextField
          label="Search"
          type="search"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      )}
      <p role="status" className={query ? "text-sm text-muted" : "sr-only"}>
        {isPending ? "" : describe(found.length, query !== "")}
      </p>
      {!isPending && entries.length === 0 && <p>Nothing yet. Caption a photo, and it appears here.</p>}
      <ul ref={list} tabIndex={-1} aria-label="Posts" className="flex flex-col gap-3 outline-none">
        {found.map((entry) => (
          <li key={entry.id} className="[content-visibility:auto] [contain-intrinsic-size:auto_9rem]">
            <Entry entry={entry} />
          </li>
        ))}
      </ul>
      {entries.length > 0 && (
        <div className="flex flex-wrap gap-3">
          <Button onClick={() => setDialog("export")}>Export</Button>
          <Button kind="danger" onClick={() => setDialog("erase")}>
            Erase the history
          </Button>
        </div>
      )}
      <ExportDialog open={dialog === "export"} onClose={close} entries={entries} />
      <ConfirmDialog
        title="Erase the history?"
        open={dialog === "erase"}
        onClose={close}
        action="Erase the history"
        onConfirm={() => void clearHistory()}
      >
        All {entries.length} posts are erased from this device. It can't be undone. Export them first if you
        may need them again.
      </ConfirmDialog>
    </div>
  );
}

function useHistory() {
  const queries = useQueryClient();
  useEffect(() => subscribe(() => void queries.invalidateQueries({ queryKey: ENTRIES })), [queries]);
  return useQuery({ queryKey: ENTRIES, queryFn: readHistory, networkMode: "always" });
}

function describe(found: number, isSearching: boolean): string {
  const posts = found === 1 ? "1 post" : `${found} posts`;
  if (!isSearching) return posts;
  return found === 0 ? "No post has these words." : `${posts} found`;
}

function Entry({ entry }: { entry: HistoryEntry }) {
  const [picture] = entry.thumbnails;
  const post = [entry.caption, entry.hashtags.join(" ")].filter(Boolean).join("\n\n");
  const { copy, dialog } = useCopy();
  return (
    <article className="flex items-start gap-3 rounded-3xl border border-line bg-raised p-3">
      {picture && <Thumbnail picture={picture} alt={entry.altTexts[0] ?? ""} />}
      <div className="min-w-0 flex-1 py-1">
        <p dir="auto" className="wrap-anywhere whitespace-pre-line">
          {entry.caption}
        </p>
        <p dir="auto" className="mt-1 wrap-anywhere text-muted">
          {entry.hashtags.join(" ")}
        </p>
        <div className="mt-1 flex items-center gap-1">
          <time dateTime={new Date(entry.createdAt).toISOString()} className="me-auto text-sm text-muted">
            {new Date(entry.createdAt).toLocaleDateString(undefined, { dateStyle: "medium" })}
          </time>
          <IconButton
            label="Copy caption and hashtags"
            onClick={() => void copy(post, "Caption and hashtags copied")}
          >
            <Copy aria-hidden />
          </IconButton>
          <IconButton label="Erase" onClick={() => void removeFromHistory(entry.id)}>
            <Trash2 aria-hidden />
          </IconButton>
        </div>
      </div>
      {dialog}
    </article>
  );
}
