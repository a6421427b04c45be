"""The report's page: one Jinja template, autoescaped, that loads nothing from outside."""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: #fff; color: #1b2a33;
 font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; overflow-wrap: break-word; }
code, dd { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid #dde4e8; }
p { max-width: 46rem; margin: .4rem 0; }
.lead { font-size: 1.1rem; }
.muted, .empty { color: #566872; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; vertical-align: middle; white-space: nowrap;
 border-bottom: 1px solid #e6ecef; }
th { font-weight: 600; color: #41525c; vertical-align: bottom; }
thead th { white-space: normal; }
tbody th { color: inherit; vertical-align: middle; }
th:first-child, td:first-child { padding-left: .2rem; }
.t { text-align: left; }
.wrap { white-space: normal; min-width: 12rem; }
.name { max-width: 16rem; white-space: normal; overflow-wrap: anywhere; min-width: 11rem; }
code { font: .88em ui-monospace, "Liberation Mono", monospace; }
pre { background: #f4f7f8; padding: .75rem; overflow-x: auto; white-space: pre-wrap; }
.bar { display: block; }
.bar .zero { stroke: #8b9aa3; stroke-width: 1; }
.bar .whisker { stroke-width: 3; stroke: #66757e; }
.bar circle { fill: #66757e; }
.bar.better .whisker { stroke: #00805f; } .bar.better circle { fill: #00805f; }
.bar.worse .whisker { stroke: #c04f00; } .bar.worse circle { fill: #c04f00; }
.chart { width: 100%; max-width: 46rem; height: auto; font-size: 12px; }
.chart .grid { stroke: #e6ecef; }
.chart text { fill: #41525c; }
.key svg { vertical-align: middle; margin-right: .4rem; } .key .name { min-width: 15rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; }
dt { color: #41525c; } dd { margin: 0; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } }
</style>
</head>
<body>
{% macro differences(rows) %}
<div class="scroll"><table>
<thead><tr><th class="t">Entry</th><th>Difference, {{ unit }}</th><th>Limits</th><th class="t">Below zero is better</th>
<th class="t">Says</th></tr></thead>
<tbody>
{% for row in rows %}
<tr><th class="t name">{{ row.name }}</th><td>{{ row.diff }}</td><td>{{ row.limits }}</td><td>{{ row.bar }}</td>
<td class="t">{{ row.verdict }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
<header>
<h1>{{ title }}</h1>
<p class="lead">{{ headline }}</p>
</header>
<main>
<h2>Leaderboard</h2>
{% if entries %}
<p>{{ basis }} Differences are paired: each Entry met the same scenarios.
Limits are {{ confidence }}; the rank interval is what the same resampling allows.</p>
<div class="scroll"><table>
<thead><tr><th>Rank</th><th>Interval</th><th class="t">Entry</th><th>Cost J, {{ unit }}</th>
<th>Difference to {{ reference }}</th><th class="t">Below zero is better</th><th>Carbon, t CO2e</th>
<th>Circularity</th><th>Compliance</th><th>n</th><th>Failed</th></tr></thead>
<tbody>
{% for row in entries %}
<tr><td>{{ row.rank }}</td><td>{{ row.rank_limits }}</td><th class="t name">{{ row.name }}</th><td>{{ row.cost }}</td>
<td>{{ row.diff }}<br><span class="muted">{{ row.limits }}</span></td><td>{{ row.bar }}</td><td>{{ row.carbon }}</td>
<td>{{ row.circularity }}</td><td>{{ row.compliance }}</td><td>{{ row.n }}</td><td>{{ row.failed }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="muted">Carbon, circularity (material circularity indicator, 0 to 1) and compliance are means over the
scenarios; a dash means that nothing defines the value, such as compliance where nothing was due.</p>
{% else %}<p class="empty">No Entry has been scored yet.</p>{% endif %}

<h2>Score and compliance</h2>
{% if score_rows %}
<p>The score is 0 for {{ reference }} and 1 for the bound, which no control whatsoever can beat: the share of the gap
between them that an Entry closes, as a ratio of sums in each family, then the mean over families. An Entry complies
when at most 0.1 % of what was due fell short and could have been met, by the upper limit.</p>
<div class="scroll"><table>
<thead><tr><th class="t">Entry</th><th>Score</th><th>Limits</th><th class="t">From reference to bound</th>
<th class="t">Compliance</th><th>Avoidable</th><th>Upper limit</th></tr></thead>
<tbody>
{% for row in score_rows %}
<tr><th class="t name">{{ row.name }}</th><td>{{ row.score }}</td><td>{{ row.limits }}</td><td>{{ row.bar }}</td>
<td class="t">{{ row.complies }}</td><td>{{ row.avoidable }}</td><td>{{ row.avoidable_hi }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No scenario carries a bound, so there is no score: set bound.scenarios in the
experiment.</p>{% endif %}
{% for note in score_notes %}<p class="muted">{{ note }}</p>{% endfor %}

<h2>What foresight is worth</h2>
{% if ladder %}
<p>The same rolling-horizon controller with ever more knowledge. The gain is the paired difference in J to the step
below, {{ unit }}; below zero is better. Costs of {{ reference }} and of the bound are means over the scored
scenarios.</p>
<div class="scroll"><table>
<thead><tr><th class="t">View</th><th class="t">Entry</th><th>Score</th><th>Cost J, {{ unit }}</th><th>Gain</th>
<th>Limits</th></tr></thead>
<tbody>
{% for row in ladder %}
<tr><th class="t">{{ row.view }}</th><td class="t name">{{ row.entry }}</td><td>{{ row.score }}</td>
<td>{{ row.cost }}</td><td>{{ row.gain }}</td><td>{{ row.limits }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No two views of a rolling-horizon controller are Entries of this sweep.</p>{% endif %}

<h2>Beyond cost</h2>
{% if metric_rows %}
<p>Handprint: carbon of the same scenario without recovery, at equal service, minus the Entry's own; more is better.
Resilience: what shocks cost in service, against the same scenario without them. On the front: no other Entry is as good
in cost, carbon and circularity, and better in one.</p>
<div class="scroll"><table>
<thead><tr><th class="t">Entry</th><th>On the front</th><th>Service</th><th>Handprint, t CO2e</th>
<th>Value retained</th><th>Service lost, months</th><th>Deepest drop</th><th>Months to recover</th>
<th>CPU, s</th></tr></thead>
<tbody>
{% for row in metric_rows %}
<tr><th class="t name">{{ row.name }}</th><td>{{ row.front }}</td>
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No metrics are recorded.</p>{% endif %}

<h2>Against random search</h2>
{% if random_rows %}
<p>The paired difference in J to the random search, over the scenarios that both completed.</p>
{{ differences(random_rows) }}
{% else %}<p class="empty">This sweep has no random search to compare with.</p>{% endif %}

<h2>By family of law</h2>
{% if families %}
<p>Paired difference in J to {{ reference }}, {{ unit }}, with limits, in each family of test scenarios.</p>
<div class="scroll"><table>
<thead><tr><th class="t">Entry</th>{% for family in families %}<th>{{ family }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in family_rows %}
<tr><th class="t name">{{ row.name }}</th>{% for cell in row.cells %}<td>{{ cell.diff }}<br>
<span class="muted">{{ cell.limits }}</span></td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No breakdown by family is recorded.</p>{% endif %}

<h2>What a shortfall costs</h2>
{% if shortfall %}
<p>Where the law states no penalty, the suite declares a price for each kilogram that a duty falls short. Here J,
{{ unit }}, and the rank, had that price been half or double.</p>
<div class="scroll"><table>
<thead><tr><th class="t">Entry</th><th>Half price</th><th>Rank</th><th>As declared</th><th>Rank</th>
<th>Double price</th><th>Rank</th></tr></thead>
<tbody>
{% for row in shortfall %}
<tr><th class="t name">{{ row.name }}</th><td>{{ row.half }}</td><td>{{ row.rank_half }}</td><td>{{ row.cost }}</td>
<td>{{ row.rank }}</td><td>{{ row.double }}</td><td>{{ row.rank_double }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No costs at half or double the shortfall price are recorded.</p>{% endif %}

<h2>Search</h2>
{% if chart %}
<p>Best mean J found so far on the training scenarios: the median over an Entry's seeds, and a band between the limits
of that median. It says how a search went, not how its choice does on the test scenarios.</p>
{{ chart }}
<div class="scroll"><table class="key">
<thead><tr><th class="t">Entry</th><th>Seeds</th><th>Best J, {{ unit }}</th><th>Limits of the median</th>
<th>Their confidence</th><th>Evaluations</th><th>Node-periods</th><th>Ended by CPU limit</th></tr></thead>
<tbody>
{% for search in searches %}
<tr><th class="t name"><svg width="28" height="10" aria-hidden="true"><line x1="0" x2="28" y1="5" y2="5"
 stroke="{{ search.colour }}" stroke-dasharray="{{ search.dash }}" stroke-width="2"/></svg>{{ search.entry }}</th>
<td>{{ search.seeds }}</td><td>{{ search.best }}</td><td>{{ search.limits }}</td><td>{{ search.coverage }}</td>
<td>{{ search.evaluations }}</td><td>{{ search.node_periods }}</td><td>{{ search.early }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="muted">Evaluations and node-periods are those of one seed's search. Limits hold for any distribution of
searches; where an Entry has too few seeds for 95 %, they are the whole range, at the confidence that it has.</p>
{% else %}<p class="empty">No search ran in this sweep, or none has finished a generation.</p>{% endif %}

<h2>The suite</h2>
{% if facts %}<dl>{% for label, value in facts %}<dt>{{ label }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% else %}<p class="empty">No description of the suite is recorded.</p>{% endif %}

<h2>Law used</h2>
{% if instruments %}
<p>{{ doubtful }} of {{ instruments|length }} carry a mark: ? no source was read for a number; * an assumption of this
project is part of it. <code>circularbench catalogue ID</code> explains each.</p>
<div class="scroll"><table>
<thead><tr><th class="t">Law</th><th class="t">Where</th><th class="t">Type</th><th class="t">How sure</th>
<th class="t">Verified</th><th class="t">Assumed</th><th class="t">Reference</th><th class="t">Source</th></tr></thead>
<tbody>
{% for row in instruments %}
<tr><th class="t wrap">{{ row.name }}{{ row.marks }}</th><td class="t">{{ row.jurisdiction }}</td>
<td class="t">{{ row.type }}</td><td class="t">{{ row.confidence }}</td><td class="t">{{ row.verification }}</td>
<td class="t wrap">{{ row.assumed }}</td><td class="t wrap">{{ row.reference }}</td>
<td class="t wrap">{{ row.source }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No instruments of law are recorded.</p>{% endif %}

<h2>Assumptions</h2>
{% if shares %}<p>Share of the result that rests on assumptions: {{ shares }}.</p>
{% else %}<p class="empty">The share of cost and carbon that rests on assumptions has not been computed.</p>{% endif %}
{% if assumptions %}
<div class="scroll"><table>
<thead><tr><th class="t">Parameter</th><th>Value</th><th>Range</th><th class="t">Unit</th><th class="t">Note</th></tr>
</thead><tbody>
{% for row in assumptions %}
<tr><th class="t">{{ row.parameter }}</th><td>{{ row.value }}</td><td>{{ row.range }}</td>
<td class="t">{{ row.unit }}</td><td class="t wrap">{{ row.note }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="empty">No assumptions are recorded.</p>{% endif %}

<h2>To reproduce</h2>
<p>The same experiment file, seed and code give the same digest on any number of workers.</p>
<dl><dt>Digest</dt><dd><code>{{ digest }}</code></dd>
{% for label, value in reproduce %}<dt>{{ label }}</dt><dd><code>{{ value }}</code></dd>{% endfor %}</dl>
</main>
</body>
</html>
"""
