export function HistoryView() {
  return <h1 className="text-2xl font-extrabold">History</h1>;
}
