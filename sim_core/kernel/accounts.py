"""Numbers of accounts and flows in the ledger's order, and of levers, for compiled code."""

from sim_core.control import LEVERS
from sim_core.kernel.jit import numbered
from sim_core.ledger import Account, Flow

(
    MATERIALS, PRODUCTION, TRANSPORT, HOLDING, LOST_SALES, BACKLOG, COLLECTION, REMANUFACTURE, RECYCLING, DISPOSAL,
    SECOND_LIFE, CAPEX, TARIFF, CARBON_CHARGE, LANDFILL_TAX, FEE, SUBSIDY, CERTIFICATES, SHORTFALL, TERMINAL,
) = numbered(len(Account))  # fmt: skip
(
    CARBON, FEED, RECYCLED_FEED, REUSED, END_OF_LIFE, CAN_AGAIN, TO_RECYCLING, RECOVERED, TO_REUSE, DEMAND, SERVED,
    DUTY, SHORT, DISPLACED,
) = numbered(len(Flow))  # fmt: skip
(
    BUY_BACK, EXPEDITE, SECOND_SOURCE, STOCK_AHEAD, PREMIUM_INSPECTION, ALTERNATIVE_ROUTE, LATERAL_TRANSFER,
    DESIGN_FOR_DISASSEMBLY, INVEST_RECYCLER, INVEST_REMANUFACTURER, INVEST_COLLECTOR,
) = numbered(len(LEVERS))  # fmt: skip

ACCOUNTS, FLOWS = len(Account), len(Flow)
